// Remembers more with each turn, and ends with status 3 when its directory has so many files
// (first argument) whose names end so (second argument); with status 9 after some minutes.
'use strict';
const fs = require('fs');
const [count, ending] = process.argv.slice(2);
class Remembered {
  constructor(number) { this.number = number; this.text = `number ${number}`; }
}
const cache = new Map();
function remember() { cache.set(cache.size, new Remembered(cache.size)); }
let turn = 0;
setInterval(() => {
  for (let i = 0; i < 500 && cache.size < 1e6; i++) remember();
  if (fs.readdirSync('.').filter((name) => name.endsWith(ending)).length >= count) process.exit(3);
  if (++turn === 10000) process.exit(9);
}, 20);
