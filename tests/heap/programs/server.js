// A server with open connections: sockets, streams, requests, a child process's pipes.
const http = require('http');
const v8 = require('v8');
const open = [];
const server = http.createServer((request, response) => { open.push({request, response}); response.write('partly'); });
server.listen(0, '127.0.0.1', () => {
  let answered = 0;
  for (let i = 0; i < 20; i++) {
    http.get({port: server.address().port, agent: false}, response => {
      response.once('data', () => {
        if (++answered < 20) return;
        v8.writeHeapSnapshot(process.argv[2]);
        process.exit();
      });
    });
  }
});
