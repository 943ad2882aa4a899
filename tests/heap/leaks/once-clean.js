// clean
const EventEmitter = require('events');
const sink = new EventEmitter();
exports.step = i => {
  const chunk = {i, bytes: [i]};
  sink.once('drain', () => chunk.bytes.length);
  sink.emit('drain');
};
