// Keeps buffers in the main thread, in a worker, and in a worker without environment and options.
'use strict';
const { Worker, isMainThread, workerData, parentPort } = require('worker_threads');

const kept = [];

function keepInMain() {
  for (let i = 0; i < 100; i++) kept.push(Buffer.alloc(10000));
}

function keepInWorker() {
  for (let i = 0; i < 100; i++) kept.push(Buffer.alloc(11000));
}

function keepInBareWorker() {
  for (let i = 0; i < 100; i++) kept.push(Buffer.alloc(12000));
}

if (isMainThread) {
  let waiting = 2;
  const done = () => --waiting || process.kill(process.pid, 'SIGKILL');
  new Worker(__filename, { workerData: 'usual' }).on('message', done);
  new Worker(__filename, { workerData: 'bare', env: {}, execArgv: [] }).on('message', done);
  keepInMain();
} else {
  if (workerData === 'usual') keepInWorker();
  else keepInBareWorker();
  parentPort.postMessage('kept');
  setInterval(() => {}, 1000);
}
