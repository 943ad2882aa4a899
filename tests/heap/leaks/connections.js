// leak: set variable clients
const net = require('net');
const clients = new Set();
let server;
const ready = new Promise(resolve => {
  server = net.createServer(function accept(socket) { // HERE
    clients.add({socket: socket.remotePort, since: [1]});
    socket.end();
  }).listen(0, '127.0.0.1', resolve);
});
exports.step = async () => {
  await ready;
  await new Promise(resolve => net.connect(server.address().port, '127.0.0.1').resume().on('close', resolve));
};
