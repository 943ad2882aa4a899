// leak: map Map variable store has 400 entries
class Session { constructor(id) { this.id = id; this.token = 't' + id; } }
class Job { constructor(id) { this.id = id; this.state = 'new'; } }
function make(store, limits) {
  return {
    open(id) { store.set(id, new Session(id)); }, // HERE
    enqueue(id) { if (id < 0) store.set(id, new Job(id)); },
    load(id) { if (id % 500 === 499) store.set(id, limits); },
  };
}
const api = make(new Map(), {max: 5});
exports.step = i => { api.open(i); api.enqueue(i); api.load(i); };
