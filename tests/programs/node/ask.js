// Waits in the way that its argument names, until a line arrives on standard input; then it says
// what it has seen that was not its own doing, and ends with status 7.
'use strict';
const fs = require('fs');
const way = process.argv[2];

class Kept {
  constructor(number) { this.number = number; }
}
globalThis.kept = Array.from({ length: 1000 }, (_, number) => new Kept(number));

const seen = [];
for (const name of ['SIGUSR1', 'SIGUSR2', 'SIGURG']) process.on(name, () => seen.push(name));
process.on('warning', (warning) => { if (warning.name !== 'ExperimentalWarning') seen.push(warning.name); });

function ready() { fs.writeSync(1, 'ready\n'); }
function end() {
  fs.writeSync(1, `seen: ${seen.join(' ') || 'nothing'}\n`);
  process.exit(7);
}
// A line on standard input, without the event loop.
function line() { fs.readSync(0, Buffer.alloc(16)); }

switch (way) {
  case 'idle': {
    const handles = process._getActiveHandles().length;
    process.stdin.once('data', () => {
      const more = process._getActiveHandles().length - handles;
      if (more > 1) seen.push(`${more - 1} handles`);
      end();
    });
    setImmediate(ready);
    break;
  }
  case 'busy': {
    // For ever, unless a file says otherwise: no call that would be a safe point of its own.
    const { Worker } = require('worker_threads');
    const word = new Int32Array(new SharedArrayBuffer(4));
    new Worker("require('fs').readSync(0, Buffer.alloc(16)); require('worker_threads').workerData[0] = 1;",
      { eval: true, workerData: word });
    ready();
    let turn = 0;
    while (word[0] === 0) globalThis.turn = turn++;
    end();
    break;
  }
  case 'many objects':
    globalThis.many = Array.from({ length: 60000 }, (_, i) => ({ i, name: `number ${i}`, list: [i], more: { i } }));
    process.stdin.once('data', end);
    setImmediate(ready);
    break;
  case 'blocked':
    ready();
    line();
    setTimeout(() => { end(); }, 10);
    break;
  case 'atomics': {
    // In a call that is no JavaScript, until a worker wakes it.
    const { Worker } = require('worker_threads');
    const word = new Int32Array(new SharedArrayBuffer(4));
    new Worker("require('fs').readSync(0, Buffer.alloc(16)); const word = require('worker_threads').workerData; " +
      'word[0] = 1; Atomics.notify(word, 0);', { eval: true, workerData: word });
    ready();
    Atomics.wait(word, 0, 0);
    setTimeout(() => { end(); }, 10);
    break;
  }
  case 'parent': {
    // Of a child that waits as well; only its own end may be heard of.
    const child = require('child_process').spawn('cat', { stdio: ['pipe', 'ignore', 'inherit'] });
    child.on('exit', () => seen.push('exit'));
    process.on('SIGCHLD', () => seen.push('SIGCHLD'));
    child.once('spawn', ready);
    process.stdin.once('data', end);
    break;
  }
  case 'busy workers': {
    const { Worker } = require('worker_threads');
    const source = "require('worker_threads').parentPort.postMessage('up'); for (;;) {}";
    let up = 0;
    for (let i = 0; i < 2; i++) new Worker(source, { eval: true }).once('message', () => ++up === 2 && ready());
    process.stdin.once('data', end);
    break;
  }
  case 'worker': {
    const { Worker } = require('worker_threads');
    const source = `
      class InWorker {}
      globalThis.kept = Array.from({ length: 500 }, () => new InWorker());
      process.cwd();
      setInterval(() => {}, 1000);
      require('worker_threads').parentPort.postMessage('up');`;
    new Worker(source, { eval: true }).once('message', ready);
    process.stdin.once('data', end);
    break;
  }
}
