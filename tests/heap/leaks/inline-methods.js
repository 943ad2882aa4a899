// leak: map variable sessions
const sessions = new Map();
const service = {
  find(id) { return sessions.get(id); },
  get size() { return sessions.size; },
  open(id) { // HERE
    sessions.set(id, {id, opened: service.size});
  },
  trim: list => list.splice(0),
};
exports.step = i => {
  service.open(i);
  service.find(i - 1);
  service.trim([i]);
};
