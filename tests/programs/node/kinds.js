// Keeps what Node allocates natively for each of several modules, then is killed: a clean end
// would free it all.
'use strict';
const zlib = require('zlib');
const crypto = require('crypto');
const { PassThrough } = require('stream');

const kept = [];

function keepBuffers(count) {
  for (let i = 0; i < count; i++) kept.push(Buffer.alloc(20000));
}

function keepCompressors(count) {
  for (let i = 0; i < count; i++) {
    const compressor = zlib.createDeflate();
    compressor.write('x');
    kept.push(compressor);
  }
}

function keepHashes(count) {
  for (let i = 0; i < count; i++) kept.push(crypto.createHash('sha256'));
}

class Store {
  fill(count) {
    for (let i = 0; i < count; i++) {
      const stream = new PassThrough();
      stream.write(Buffer.alloc(30000));
      kept.push(stream);
    }
  }
}

keepBuffers(200);
keepCompressors(5);
keepHashes(50);
new Store().fill(40);
process.kill(process.pid, 'SIGKILL');
