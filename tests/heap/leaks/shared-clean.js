// clean
const byId = new Map();
const byToken = new Map();
function open(session) {
  byId.set(session.id, session);
  byToken.set(session.token, session);
  if (byId.size > 50) {
    const [oldest] = byId.values();
    byId.delete(oldest.id);
    byToken.delete(oldest.token);
  }
}
exports.step = i => open({id: i, token: `token ${i}`, data: new Array(200).fill(i)});
