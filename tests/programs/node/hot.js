// A function that is called often enough to be compiled by each compiler, and keeps now and then.
'use strict';
const kept = [];

function inner(i) {
  return i % 5000 === 0 ? Buffer.alloc(14000) : null;
}

function outer(i) {
  const made = inner(i);
  if (made) kept.push(made);
}

for (let i = 1; i <= 2000000; i++) outer(i);
process.kill(process.pid, 'SIGKILL');
