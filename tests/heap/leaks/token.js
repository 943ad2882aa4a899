// leak: promises 400 functions wait for a promise never settled, from
const net = require('net');
const source = {stopped: new Promise(() => {})};
function request(i) { // HERE
  const socket = new net.Socket();
  socket.id = i;
  source.stopped.then(() => socket.destroy());
}
exports.step = i => request(i);
