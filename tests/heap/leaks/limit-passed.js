// leak: map variable cache has 400 entries
// There is a limit, but what is deleted was never there.
const MAX = 150;
const cache = new Map();
function remember(i) { // HERE
  if (cache.size > MAX) cache.delete(i - MAX);
  cache.set('user ' + i, {i});
}
exports.step = remember;
