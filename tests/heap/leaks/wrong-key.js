// leak: map variable sessions
const sessions = new Map();
function request(i) { // HERE
  const id = {id: i};
  sessions.set('s' + id.id, {id, data: [i]});
  sessions.delete(id);
}
exports.step = request;
