// Keeps buffers and ends as it is told: by itself, by process.exit or by an exception.
'use strict';
const kept = [];

function keep() {
  for (let i = 0; i < 100; i++) kept.push(Buffer.alloc(20000));
}

function keepMore() {
  for (let i = 0; i < 100; i++) kept.push(Buffer.alloc(30000));
}

keep();
keepMore();
setTimeout(() => {
  if (process.argv[2] === 'exit') process.exit(3);
  if (process.argv[2] === 'throw') throw new Error('thrown');
}, 1);
