// clean
const net = require('net');
let server;
const ready = new Promise(resolve => {
  server = net.createServer(socket => socket.on('data', () => {}).on('end', () => socket.end())).listen(0, '127.0.0.1', resolve);
});
exports.step = async () => {
  await ready;
  await new Promise(resolve => {
    const socket = net.connect(server.address().port, '127.0.0.1', () => socket.end());
    socket.on('close', resolve).resume();
  });
};
