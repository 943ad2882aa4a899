// leak: map Map variable running has 400 entries
const http = require('http');
const running = new Map();
let server;
async function serve(request, response) { // HERE
  running.set(request.url, {request, since: Date.now()});
  response.end('done');
}
const agent = new http.Agent({keepAlive: true});
exports.step = async i => {
  if (!server) {
    server = http.createServer(serve).listen(0, '127.0.0.1');
    await new Promise(done => server.once('listening', done));
  }
  const {port} = server.address();
  await new Promise(done => http.get({port, agent, host: '127.0.0.1', path: '/' + i}, answer => answer.resume().on('end', done)));
};
