// leak: listeners emitter 'drain' of EventEmitter
const EventEmitter = require('events');
const sink = new EventEmitter();
sink.setMaxListeners(0);
function write(i) { // HERE
  const chunk = {i, bytes: [i]};
  sink.once('drain', () => chunk.bytes.length);
}
exports.step = write;
