// leak: array variable refs
const refs = [];
function track(i) { // HERE
  refs.push(new WeakRef({i}));
}
exports.step = track;
