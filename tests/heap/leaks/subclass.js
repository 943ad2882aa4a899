// leak: map Registry variable registry has 400 entries
class Registry extends Map {
  register(name, value) { this.set(name, value); }
}
const registry = new Registry();
function add(i) { // HERE
  registry.register('name ' + i, {i});
}
exports.step = add;
