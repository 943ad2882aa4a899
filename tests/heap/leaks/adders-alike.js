// leak: array Array variable all has 400 entries
var all = [];
function one(x) { all.push(x); } // HERE
function two(x) { all.push(x); } // HERE
exports.step = i => {
  const x = {a: i + 'x', b: {}};
  if (i % 2) one(x); else two(x);
};
