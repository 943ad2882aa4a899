// Keeps buffers, and ends by process.exit.
'use strict';
const kept = [];
function keepBuffer() { kept.push(Buffer.alloc(30000)); }
for (let i = 0; i < 100; i++) keepBuffer();
setTimeout(() => process.exit(0), 10);
