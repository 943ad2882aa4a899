// clean
const running = new Set();
function* task(i) { const parts = [i]; while (true) yield parts; }
exports.step = i => {
  const one = task(i);
  one.next();
  running.add(one);
  one.return();
  running.delete(one);
};
