// leak: object Object MemoryStore.sessions has 400 entries
const {EventEmitter} = require('events');
class MemoryStore extends EventEmitter {
  constructor() { super(); this.sessions = Object.create(null); }
  clear() { this.sessions = Object.create(null); }
  destroy(id) { delete this.sessions[id]; }
  get(id) { return this.sessions[id]; }
  set(id, session) { // HERE
    this.sessions[id] = JSON.stringify(session);
  }
}
const store = new MemoryStore();
exports.step = i => { store.set('session' + i, {id: i, views: 1}); };
