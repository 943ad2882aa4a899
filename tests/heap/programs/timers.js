// Timers, intervals and immediates that have not fired.
for (let i = 0; i < 3000; i++) {
  setTimeout(() => i, 1e6 + i % 3).unref();
  setInterval(function tick(n) { return n + i; }, 1e6, i).unref();
}
