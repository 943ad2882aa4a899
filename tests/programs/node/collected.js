// Twelve full collections; between them it keeps more and more ('leaks'), or always as much ('holds').
'use strict';
const leaks = process.argv[2] === 'leaks';
let kept = [];

function addObjects(count) {
  for (let i = 0; i < count; i++) kept.push({ i, list: new Array(50).fill(i) });
}

for (let round = 0; round < 12; round++) {
  if (!leaks) kept = [];
  addObjects(10000);
  globalThis.gc();
}
