// clean
const sessions = new Map();
exports.step = i => {
  const id = {id: i};
  sessions.set('s' + id.id, {id, data: [i]});
  sessions.delete('s' + id.id);
};
