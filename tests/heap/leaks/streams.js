// leak: streams
const net = require('net');
let server;
const ready = new Promise(resolve => {
  server = net.createServer(socket => socket.on('data', () => {})).listen(0, '127.0.0.1', resolve);
});
async function open() {
  await ready;
  await new Promise(resolve => net.connect(server.address().port, '127.0.0.1', resolve));
}
exports.step = open;
