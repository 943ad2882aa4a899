// clean: each entry has its time, which is longer than the snapshots are apart
const cache = new Map();
exports.step = function put(i) {
  const key = 'k' + i;
  cache.set(key, {id: i});
  setTimeout(() => cache.delete(key), 60e3).unref();
};
