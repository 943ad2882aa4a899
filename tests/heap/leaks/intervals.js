// leak: intervals
function poll(i) { // HERE
  const state = {i, last: [i]};
  setInterval(() => { state.last = [state.i]; }, 3600000);
}
exports.step = poll;
