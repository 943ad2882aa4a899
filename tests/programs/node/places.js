// Keeps buffers made by one function that it reaches by several ways, and others made by another; ends by SIGTERM.
'use strict';
const { EventEmitter } = require('node:events');
const kept = [];

function keepUpload() {
  kept.push(Buffer.alloc(20000));
}

function keepHeader() {
  kept.push(Buffer.alloc(5000));
}

const emitter = new EventEmitter();
function onUpload() { keepUpload(); }
function byHandler() { onUpload(); }
async function byPromise() { await null; keepUpload(); }
emitter.on('upload', onUpload);

(async () => {
  for (let i = 0; i < 100; i++) {
    keepUpload();
    byHandler();
    emitter.emit('upload');
    await byPromise();
    keepHeader();
  }
  process.kill(process.pid, 'SIGTERM');
})();
