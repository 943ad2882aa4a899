// leak: set variable running
const running = new Set();
function* task(i) { const parts = [i]; while (true) yield parts; }
function start(i) { // HERE
  const one = task(i);
  one.next();
  running.add(one);
}
exports.step = start;
