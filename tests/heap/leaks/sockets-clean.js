// clean
const net = require('net');
let server;
const ready = new Promise(resolve => {
  server = net.createServer(socket => {
    socket.on('data', () => socket.bytesRead);
    socket.on('end', () => socket.destroy());
  }).listen(0, '127.0.0.1', resolve);
});
exports.step = async () => {
  await ready;
  await new Promise(resolve => net.connect(server.address().port, '127.0.0.1').resume().end().on('close', resolve));
};
