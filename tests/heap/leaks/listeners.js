// leak: listeners
const EventEmitter = require('events');
const bus = new EventEmitter();
bus.setMaxListeners(0);
function connect(i) { // HERE
  const session = {i, data: new Array(20).fill(i)};
  bus.on('data', () => session.data.length);
}
exports.step = connect;
