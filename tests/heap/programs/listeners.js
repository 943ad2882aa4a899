// An emitter that many listeners were added to.
const EventEmitter = require('events');
const source = new EventEmitter();
source.setMaxListeners(0);
for (let i = 0; i < 2000; i++) {
  const session = {id: i, buffer: Buffer.alloc(64)};
  source.on('data', () => session.id);
  source.once('end' + i % 7, function onEnd() { session.buffer = null; });
}
globalThis.source = source;
