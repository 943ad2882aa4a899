// clean
const net = require('net');
const source = {stopped: new Promise(() => {}), waiting: new Set()};
source.stopped.then(() => { for (const stop of source.waiting) stop(); });
function request(i) {
  const socket = new net.Socket();
  const stop = () => socket.destroy();
  socket.id = i;
  source.waiting.add(stop);
  return () => source.waiting.delete(stop);
}
exports.step = i => { request(i)(); };
