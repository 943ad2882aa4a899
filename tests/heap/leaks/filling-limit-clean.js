// clean
// Still filling up in the last snapshot, at an even pace: the limit is in sight.
class LRU {
  constructor(options) { this.max = options.max; this.map = new Map(); }
  get(key) {
    const value = this.map.get(key);
    if (value) { this.map.delete(key); this.map.set(key, value); }
    return value;
  }
  set(key, value) {
    if (this.map.size >= this.max) this.map.delete(this.map.keys().next().value);
    this.map.set(key, value);
  }
}
const cache = new LRU({max: 5000});
exports.step = i => {
  const key = 'host ' + i;
  if (!cache.get(key)) cache.set(key, {key, address: '10.0.0.' + (i & 255)});
};
