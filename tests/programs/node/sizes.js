// Functions f0 to f11, of which each allocates blocks of one size of its own (100,003 and 64 more each time), in workers
// that come and go, some ended in the midst, and at last in the main thread. Ends as one that is killed.
'use strict';
const { Worker, isMainThread, workerData } = require('worker_threads');

function keep(kept, block) {
  if (kept.push(block) > 20) kept.length = 0;
}
function f0(kept) { keep(kept, Buffer.allocUnsafeSlow(100003)); }
function f1(kept) { keep(kept, Buffer.allocUnsafeSlow(100067)); }
function f2(kept) { keep(kept, Buffer.allocUnsafeSlow(100131)); }
function f3(kept) { keep(kept, Buffer.allocUnsafeSlow(100195)); }
function f4(kept) { keep(kept, Buffer.allocUnsafeSlow(100259)); }
function f5(kept) { keep(kept, Buffer.allocUnsafeSlow(100323)); }
function f6(kept) { keep(kept, Buffer.allocUnsafeSlow(100387)); }
function f7(kept) { keep(kept, Buffer.allocUnsafeSlow(100451)); }
function f8(kept) { keep(kept, Buffer.allocUnsafeSlow(100515)); }
function f9(kept) { keep(kept, Buffer.allocUnsafeSlow(100579)); }
function f10(kept) { keep(kept, Buffer.allocUnsafeSlow(100643)); }
function f11(kept) { keep(kept, Buffer.allocUnsafeSlow(100707)); }
const all = [f0, f1, f2, f3, f4, f5, f6, f7, f8, f9, f10, f11];

function run(rounds, step) {
  const kept = [];
  for (let round = 0; round < rounds; round++) {
    for (let k = 0; k < all.length; k++) all[(k * step + round) % all.length](kept);
  }
}

if (isMainThread) {
  const total = 24;
  let begun = 0;
  let ended = 0;
  const begin = () => {
    if (begun === total) return;
    const number = begun++;
    const worker = new Worker(__filename, { workerData: number });
    if (number % 3 === 0) setTimeout(() => worker.terminate(), 5 + number);
    worker.on('exit', () => {
      begin();
      if (++ended < total) return;
      run(500, 7);
      process.kill(process.pid, 'SIGKILL');
    });
  };
  for (let n = 0; n < 6; n++) begin();
} else {
  run(250 + workerData * 20, [1, 5, 7, 11][workerData % 4]);
}
