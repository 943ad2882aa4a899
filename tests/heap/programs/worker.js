// The heap of a worker thread.
const {Worker} = require('worker_threads');
const fs = require('fs');
const worker = new Worker('const kept = new Map(); for (let i = 0; i < 2000; i++) kept.set(i, {i, at: [i]}); require("worker_threads").parentPort.postMessage("ready"); setInterval(() => kept.size, 1e6); const {MessageChannel} = require("worker_threads"); globalThis.channel = new MessageChannel();', {eval: true});
worker.once('message', async () => {
  const stream = await worker.getHeapSnapshot();
  stream.pipe(fs.createWriteStream(process.argv[2])).on('finish', () => process.exit());
});
