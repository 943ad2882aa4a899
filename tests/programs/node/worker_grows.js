// A worker thread remembers more with each turn, the main thread does not. Ends as `leaky.js` does.
'use strict';
const { Worker, isMainThread } = require('worker_threads');
const fs = require('fs');
const [count, ending] = process.argv.slice(2);
if (isMainThread) {
  new Worker(__filename);
  let turn = 0;
  setInterval(() => {
    if (fs.readdirSync('.').filter((name) => name.endsWith(ending)).length >= count) process.exit(3);
    if (++turn === 10000) process.exit(9);
  }, 20);
} else {
  class Remembered {
    constructor(number) { this.number = number; this.text = `number ${number}`; }
  }
  const cache = new Map();
  setInterval(() => {
    for (let i = 0; i < 2000 && cache.size < 1e6; i++) cache.set(cache.size, new Remembered(cache.size));
  }, 20);
}
