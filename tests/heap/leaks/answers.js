// leak: streams 400 × ClientRequest
const http = require('http');
let server;
async function listen() {
  server = http.createServer(() => {}).listen(0, '127.0.0.1');
  await new Promise(done => server.once('listening', done));
}
function ask(i) { // HERE
  http.get({port: server.address().port, host: '127.0.0.1', path: '/' + i}, answer => answer.resume());
}
exports.step = async i => {
  if (!server) await listen();
  const asked = new Promise(done => server.once('request', done));
  ask(i);
  await asked;
};
