// clean
const cache = new Map();
function find(key) {
  let value = cache.get(key);
  if (!value) {
    value = {key};
    cache.set(key, value);
    if (cache.size > 310) cache.delete(cache.keys().next().value);
  }
  return value;
}
exports.step = i => find('key ' + i);
