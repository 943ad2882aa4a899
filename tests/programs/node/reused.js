// Makes functions that each keep one buffer of a size of their own, and gives their code up, so
// that new code comes to stand where old code stood. Needs --expose-gc.
'use strict';
const kept = [];
const rounds = Number(process.argv[2]);
for (let i = 0; i < rounds; i++) {
  const pad = 'x += 1;'.repeat(i % 7 * 20);
  const make = new Function('kept', `let x = 0; return function allocate_${i}() { ${pad} kept.push(Buffer.alloc(${10000 + i})); }`);
  make(kept)();
  if (i % 20 === 19) gc();
}
process.kill(process.pid, 'SIGKILL');
