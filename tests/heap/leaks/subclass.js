// leak: map Registry variable registry has 400 entries
class Registry extends Map {
  register(name, value) { this.set(name, value); } // HERE
}
const registry = new Registry();
function add(i) {
  registry.register('name ' + i, {i});
}
exports.step = add;
