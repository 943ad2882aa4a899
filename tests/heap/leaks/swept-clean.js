// clean: a timer takes out what has expired
const sessions = new Map();
function sweep() {
  const now = Date.now();
  for (const [id, session] of sessions) if (now - session.seen > 15 * 60e3) sessions.delete(id);
}
setInterval(sweep, 60e3).unref();
exports.step = function open(i) {
  sessions.set('s' + i, {id: i, seen: Date.now()});
};
