// clean
const EventEmitter = require('events');
const bus = new EventEmitter();
exports.step = i => {
  const session = {i, data: new Array(20).fill(i)};
  const listener = () => session.data.length;
  bus.on('data', listener);
  bus.emit('data');
  bus.off('data', listener);
};
