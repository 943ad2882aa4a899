// Remembers more with each turn, and ends with status 3 when its argument's worth of turns is done
// (0: never).
'use strict';
const turns = Number(process.argv[2] || 0);
class Remembered {
  constructor(number) { this.number = number; this.text = `number ${number}`; }
}
const cache = new Map();
function remember() { cache.set(cache.size, new Remembered(cache.size)); }
let turn = 0;
setInterval(() => {
  for (let i = 0; i < 500; i++) remember();
  if (++turn === turns) process.exit(3);
}, 20);
