// leak: object Object Registry.models has 400 entries
class Registry {
  constructor(options) { this.models = {}; this.options = Object.assign({}, options); }
  find(name) { return this.models[name]; }
  each(call) { const seen = Object.assign({}, this.models); for (const name in seen) call(seen[name]); }
}
const registry = new Registry({});
const Manager = {
  define(name, fields) { registry.models[name] = fields; return fields; }, // HERE
};
exports.step = i => {
  const fields = {id: i};
  Manager.define('model' + i, fields);
  registry.find('model' + i);
  registry.each(() => {});
};
