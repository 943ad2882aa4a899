// leak: map Map LRU.map has 400 entries
class LRU {
  constructor(max) { this.max = max; this.map = new Map(); this.order = []; }
  get(key) {
    const value = this.map.get(key);
    if (value !== undefined) this.touch(key);
    return value;
  }
  touch(key) {
    const at = this.order.indexOf(key);
    if (at >= 0) this.order.splice(at, 1);
    this.order.push(key);
  }
  set(key, value) { // HERE
    this.map.set(key, value);
    this.touch(key);
    if (this.order.length > this.max) {
      this.order.shift();
    }
  }
}
const lru = new LRU(50);
exports.step = i => { lru.set('k' + i, {id: i, body: 'b' + i}); lru.get('k' + (i - 1)); };
