// leak: map has 400 entries
const byId = new Map();
const byName = new Map();
function register(i) { // HERE
  const user = {id: i, name: 'user ' + i, tags: [i]};
  byId.set(i, user);
  byName.set(user.name, user);
}
exports.step = register;
