// clean
const http = require('http');
let server;
const ready = new Promise(resolve => {
  server = http.createServer((request, response) => { request.resume(); response.end(JSON.stringify({url: request.url})); }).listen(0, '127.0.0.1', resolve);
});
const agent = new http.Agent({keepAlive: true, maxSockets: 2});
exports.step = async i => {
  await ready;
  await new Promise((resolve, reject) => http.get({port: server.address().port, host: '127.0.0.1', path: '/' + i, agent}, response => response.resume().on('end', resolve)).on('error', reject));
};
