// leak: intervals, by the function that sets them; the callback is another's.
const tick = require('util').inspect;
function watch(i) { // HERE
  for (let n = 0; n < 3; n++) setInterval(tick, 1e6, {i, n: [n]});
}
exports.step = watch;
