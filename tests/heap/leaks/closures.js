// leak: closures
let chain = null;
function wrap(i) {
  const big = new Array(40).fill({i});
  const before = chain;
  chain = function next() { return before && big; }; // HERE
}
exports.step = wrap;
