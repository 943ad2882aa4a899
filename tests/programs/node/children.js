// A cluster of two; each child keeps buffers of its own and is killed.
'use strict';
const cluster = require('cluster');

const kept = [];

function keepInChild() {
  for (let i = 0; i < 100; i++) kept.push(Buffer.alloc(13000));
}

if (cluster.isPrimary) {
  for (let i = 0; i < 2; i++) cluster.fork().on('message', function () { this.process.kill('SIGKILL'); });
} else {
  keepInChild();
  process.send('kept');
  setInterval(() => {}, 1000);
}
