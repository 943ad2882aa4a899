// leak: object variable users
const users = Object.create(null);
function login(i) { // HERE
  users['user-' + i] = {i, at: [i]};
}
exports.step = login;
