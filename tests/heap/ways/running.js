// A module whose own code has not ended when its heap is written, and variables that no function captures.
const v8 = require('v8');
const files = process.argv.slice(2);
class Row { constructor(i) { this.of = [i]; } }
const rows = [];
const byName = new Map();
let seen = 0;
const shared = [];
function share(i) {
  shared.push({i});
}
function work(file) {
  const local = work.local ??= new Set();
  const here = work.here ??= [];
  for (let i = 0; i < 100; i++) local.add({i: [i]});
  delete work.local;
  for (let i = 0; i < 110; i++) here.push({h: [i]});
  delete work.here;
  v8.writeHeapSnapshot(file);
  Object.assign(work, {local, here});
  return local.size;
}
for (const file of files) {
  for (let i = 0; i < 120; i++) rows.push(new Row(i));
  for (let i = 0; i < 130; i++) byName.set('row ' + seen++, {i: [i]});
  for (let i = 0; i < 140; i++) share(i);
  work(file);
}
