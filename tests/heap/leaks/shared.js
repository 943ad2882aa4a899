// leak: map Map variable sessions.byId has 400 entries
const sessions = {byId: new Map(), byToken: new Map()};
function open(session) { // HERE
  sessions.byId.set(session.id, session);
  sessions.byToken.set(session.token, session);
}
exports.step = i => open({id: i, token: `token ${i}`, data: new Array(200).fill(i)});
