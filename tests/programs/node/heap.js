// Keeps objects and array buffers, makes garbage, and ends as it is told. Says what it measured
// of itself just before.
'use strict';
const { Worker, isMainThread, workerData } = require('worker_threads');
const how = isMainThread ? process.argv[2] : workerData;

const kept = [];

function keepObjects(count) {
  for (let i = 0; i < count; i++) kept.push({ name: 'kept' + i, list: new Array(100).fill(i) });
}

function keepBuffers(count) {
  for (let i = 0; i < count; i++) kept.push(new ArrayBuffer(1 << 20));
}

function makeGarbage(count) {
  let sum = 0;
  for (let i = 0; i < count; i++) sum += [i, 'x' + i, { i }].length;
  return sum;
}

keepObjects(30000);
keepBuffers(20);
makeGarbage(300000);
if (isMainThread) {
  process.on('exit', () => console.log(JSON.stringify(process.memoryUsage())));
}
if (how === 'worker') new Worker(__filename, { workerData: 'end' });
if (how === 'worker-exit') new Worker(__filename, { workerData: 'exit' });
if (how === 'worker-stopped') {
  const worker = new Worker(__filename, { workerData: 'forever' });
  worker.on('message', () => worker.terminate());
}
if (how === 'forever') {
  require('worker_threads').parentPort.postMessage('ready');
  setInterval(() => makeGarbage(10), 5);
}
if (how === 'exit') process.exit(7);
if (how === 'throw') throw new Error('nobody catches this');
