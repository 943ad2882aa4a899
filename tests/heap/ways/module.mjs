// Adds to the variables of another module before each snapshot.
import v8 from 'node:v8';
import {put} from './store.mjs';

const here = [];
let count = 0;
function step() {
  for (let n = 0; n < 100; n++) {
    put(count++);
    here.push({n});
  }
}
for (const out of process.argv.slice(2)) {
  step();
  v8.writeHeapSnapshot(out);
}
