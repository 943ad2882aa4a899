// leak: streams Agent
const http = require('http');
const server = http.createServer((req, res) => res.end('{"ok":true}'));
server.keepAliveTimeout = 60000;
const ready = new Promise(resolve => server.listen(0, '127.0.0.1', resolve));
const agentFor = tenant => new http.Agent({keepAlive: true, keepAliveMsecs: 30000}); // HERE
exports.step = async i => {
  await ready;
  if (i % 3) return;
  await new Promise((resolve, reject) => http.get({port: server.address().port, host: '127.0.0.1', path: '/' + i, agent: agentFor('t' + i)}, res => res.resume().on('end', resolve)).on('error', reject));
};
