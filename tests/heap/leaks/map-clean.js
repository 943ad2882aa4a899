// clean
class Session { constructor(i) { this.id = 's' + i; this.user = {name: 'user' + i}; } }
const sessions = new Map();
exports.step = i => {
  const session = new Session(i);
  sessions.set(session.id, session);
  if (sessions.size > 50) sessions.delete(sessions.keys().next().value);
};
