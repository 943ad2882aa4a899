// node sessions.js COUNT OUT...: a process with sessions, listeners, timers, promises and buffers;
// COUNT more sessions before each snapshot. For measuring.
const EventEmitter = require('events');
const v8 = require('v8');
const [count, ...outs] = process.argv.slice(2);
class Session {
  constructor(i) {
    this.id = i;
    this.user = {name: 'user' + i, email: 'u' + i + '@example.org', tags: ['a' + i % 97, 'b' + i % 13]};
    this.log = [{t: i, message: 'm' + i, context: {a: 1, b: [i]}}];
    this.created = i * 1.5;
  }
}
const sessions = new Map();
const meta = new WeakMap();
const promises = [];
const bus = new EventEmitter();
bus.setMaxListeners(0);
let i = 0;
for (const out of outs) {
  for (let n = 0; n < +count; n++, i++) {
    const session = new Session(i);
    sessions.set('k' + i, session);
    if (i % 10 === 0) meta.set(session, {meta: i, owner: session.user});
    if (i % 5 === 0) bus.on('data' + i % 50, () => session.id);
    if (i % 3 === 0) promises.push(Promise.resolve(session.user));
    if (i % 50 === 0) promises.push(Buffer.alloc(100));
    if (i % 30 === 0) setTimeout(() => sessions.delete(session.id), 1e8).unref();
  }
  v8.writeHeapSnapshot(out);
}
globalThis.kept = {sessions, meta, promises, bus};
