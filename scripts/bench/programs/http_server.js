// The server workload: answers REQUESTS requests, each with 1.3 KB of JSON, and ends. Its port is in the file `port`
// of its directory; its client (http_load.c) is another process, so that CPU is the server's alone.
//
//     node http_server.js [REQUESTS]   default 60000
'use strict';
const fs = require('fs');
const http = require('http');

const requests = Number(process.argv[2] || 60000);
const items = [];
for (let n = 0; n < 20; n++) items.push({ id: n, name: `item ${n}`, price: n * 1.25, tags: ['a', 'b', `tag${n}`] });

let served = 0;
const server = http.createServer((request, response) => {
  const url = new URL(request.url, 'http://localhost');
  const body = JSON.stringify({ id: Number(url.searchParams.get('id')), items });
  response.writeHead(200, { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) });
  response.end(body);
  if (++served === requests) {
    server.close();
    response.once('finish', () => server.closeAllConnections());
  }
});
server.listen(0, '127.0.0.1', () => {
  fs.writeFileSync('port.part', String(server.address().port));
  fs.renameSync('port.part', 'port');
});
server.on('close', () => console.log(served));
