// leak: map Map LRU.map has 400 entries
class LRU {
  constructor(max) { this.max = max; this.map = new Map(); }
  get(key) { return this.map.get(key); }
  set(key, value) { // HERE
    this.map.set(key, value);
    if (this.map.size > this.max) {
      const oldest = this.map.values().next().value;
      this.map.delete(oldest); // a value, not a key: nothing is deleted
    }
  }
}
const cache = new LRU(50);
exports.step = i => {
  if (!cache.get(i)) cache.set(i, {id: i, name: 'user ' + i});
};
