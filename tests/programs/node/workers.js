// Workers that come and go, six at a time: argv[2] in all. Ends as one that is killed.
'use strict';
const { Worker, isMainThread, parentPort } = require('worker_threads');
const { gzipSync } = require('zlib');

function work() {
  const kept = [];
  for (let i = 0; i < 20; i++) kept.push(Buffer.alloc(20000));
  return gzipSync(kept[0]).length;
}

if (isMainThread) {
  let toStart = Number(process.argv[2]);
  let toEnd = toStart;
  const start = () => {
    if (toStart-- <= 0) return;
    new Worker(__filename).on('exit', () => {
      if (--toEnd === 0) process.kill(process.pid, 'SIGKILL');
      start();
    });
  };
  for (let i = 0; i < 6; i++) start();
} else {
  parentPort.postMessage(work());
}
