// leak: closures
let newest = null;
function replace(i) {
  const big = new Array(50).fill(i);
  const before = newest;
  function unused() { return before && big; }
  newest = function step() { return i; }; // HERE
}
exports.step = replace;
