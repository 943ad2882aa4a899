// clean
const listeners = new Set();
let state = 0;
function subscribe(listener) {
  listeners.add(listener);
  return () => listeners.delete(listener);
}
function publish(next) {
  state = next;
  for (const listener of listeners) listener(state);
}
let last;
function view(i) {
  const shown = {i, lines: [i, i + 1]};
  if (last) last();
  last = subscribe(value => { shown.i = value; });
}
exports.step = i => {
  view(i);
  if (i % 50 === 0) publish(i);
};
