// Closures that share contexts and capture more than they use.
const kept = [];
function handler(i) {
  const big = new Array(50).fill({i});
  const unused = () => big;
  let count = 0;
  return {next: () => count++, reset() { count = 0; }, name: 'handler' + i};
}
for (let i = 0; i < 1000; i++) kept.push(handler(i));
globalThis.kept = kept;
eval('globalThis.dynamic = function (a) { return () => eval("a"); }(kept)');
