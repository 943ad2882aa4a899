// clean
const byId = new Map();
const byName = new Map();
function register(i) {
  const user = {id: i, name: 'user ' + i, tags: [i]};
  byId.set(i, user);
  byName.set(user.name, user);
}
exports.step = i => {
  register(i);
  const old = byId.get(i - 30);
  if (old) {
    byId.delete(old.id);
    byName.delete(old.name);
  }
};
