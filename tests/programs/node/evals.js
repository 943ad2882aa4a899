// Keeps buffers that functions made which have no file, for two callers that have one; ends by SIGTERM.
'use strict';
const kept = [];
const made = new Function('size', 'return Buffer.alloc(size)');
function small() { kept.push(made(20000)); }
function large() { kept.push(eval('(function evaluated(size) { return Buffer.alloc(size); })')(30000)); }
for (let i = 0; i < 100; i++) { small(); large(); }
process.kill(process.pid, 'SIGTERM');
