// node run.js PROGRAM OUT...: does the program's work before each snapshot OUT, while V8 tracks allocations
// (as DevTools' "Allocation instrumentation on timeline" has it do).
//
// A program exports step(i), called 30 times before each snapshot.
const fs = require('fs');
const {Session} = require('inspector');
const [program, ...outs] = process.argv.slice(2);
const session = new Session();
session.connect();
const post = (method, values) => new Promise((resolve, reject) =>
  session.post(method, values, error => error ? reject(error) : resolve()));
let file;
session.on('HeapProfiler.addHeapSnapshotChunk', ({params}) => fs.writeSync(file, params.chunk));
(async () => {
  await post('HeapProfiler.startTrackingHeapObjects', {trackAllocations: true});
  const {step} = require(program);
  let i = 0;
  for (const out of outs) {
    for (let n = 0; n < 30; n++) await step(i++);
    file = fs.openSync(out, 'w');
    await post('HeapProfiler.takeHeapSnapshot', {reportProgress: false});
    fs.closeSync(file);
  }
  process.exit();
})();
