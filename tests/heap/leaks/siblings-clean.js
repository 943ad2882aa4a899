// clean
let newest = null;
exports.step = i => {
  const big = new Array(50).fill(i);
  const sum = big.length;
  newest = function step() { return sum; };
};
