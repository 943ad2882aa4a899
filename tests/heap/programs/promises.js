// Promises that nobody settles, async functions that wait, generators, async contexts.
const {AsyncLocalStorage} = require('async_hooks');
const storage = new AsyncLocalStorage();
const pending = [], generators = [];
async function wait(i) { const local = {i}; await new Promise(resolve => { local.resolve = resolve; }); return local; }
function* count(n) { while (true) yield n++; }
for (let i = 0; i < 1000; i++) {
  pending.push(storage.run({request: i}, () => wait(i)));
  const generator = count(i);
  generator.next();
  generators.push(generator);
}
globalThis.state = {pending, generators, settled: Promise.resolve({done: true}), rejected: Promise.reject(new Error('no')).catch(() => {})};
