// leak: map
class Session { constructor(i) { this.id = 's' + i; this.user = {name: 'user' + i}; } }
const sessions = new Map();
function login(i) { // HERE
  const session = new Session(i);
  sessions.set(session.id, session);
}
exports.step = login;
