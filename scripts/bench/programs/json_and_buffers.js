// The node workload: JSON documents, and Buffers of many sizes.
//
//     node json_and_buffers.js [ROUNDS]   default 400
//
// JavaScript objects live in V8's own heap; what reaches malloc are the backing
// stores of the Buffers, zlib's state and V8's own structures.
'use strict';
const zlib = require('zlib');

const rounds = Number(process.argv[2] || 400);
const documents = [];
for (let n = 0; n < 500; n++) {
  documents.push({
    id: n,
    name: `item ${n}`,
    tags: Array.from({ length: 8 }, (_, k) => `tag${(n * k) % 97}`),
    nested: { left: { value: n }, right: Array.from({ length: 6 }, (_, k) => ({ k, v: String(k) })) },
  });
}

let bytes = 0;
for (let round = 0; round < rounds; round++) {
  const text = JSON.stringify(documents);
  const copy = JSON.parse(text);
  const kept = [];
  for (let n = 0; n < 200; n++) {
    const buffer = Buffer.alloc(4096 + ((round * 31 + n * 977) % 16384), n & 255);
    buffer.write(copy[n].name, 0);
    kept.push(buffer);
  }
  bytes += Buffer.concat(kept).length + Buffer.from(text).length;
  if (round % 10 === 0) bytes += zlib.gzipSync(text).length;
}
console.log(bytes);
