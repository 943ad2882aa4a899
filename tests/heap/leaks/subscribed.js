// leak: set variable listeners
// cure: Call the function that subscribe() returns
const listeners = new Set();
let state = 0;
function subscribe(listener) { // HERE
  listeners.add(listener);
  return () => listeners.delete(listener);
}
function publish(next) {
  state = next;
  for (const listener of listeners) listener(state);
}
function view(i) {
  const shown = {i, lines: [i, i + 1]};
  subscribe(value => { shown.i = value; });
}
exports.step = i => {
  view(i);
  if (i % 50 === 0) publish(i);
};
