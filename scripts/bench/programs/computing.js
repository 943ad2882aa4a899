// Computing: calls, typed arrays, a Map; hardly an allocation outside of V8's heap.
//
//     node computing.js [ROUNDS]   default 30
'use strict';
const rounds = Number(process.argv[2] || 30);
function fib(n) { return n < 2 ? n : fib(n - 1) + fib(n - 2); }
function primes(limit) {
  const sieve = new Uint8Array(limit);
  let count = 0;
  for (let n = 2; n < limit; n++) {
    if (sieve[n]) continue;
    count++;
    for (let m = n * n; m < limit; m += n) sieve[m] = 1;
  }
  return count;
}
function words(count) {
  const counts = new Map();
  for (let n = 0; n < count; n++) {
    const key = 'w' + (n * 7919) % 5003;
    counts.set(key, (counts.get(key) || 0) + 1);
  }
  return counts.size;
}
let sum = 0;
for (let round = 0; round < rounds; round++) sum += fib(32) + primes(5e6) + words(1e6);
console.log(sum);
