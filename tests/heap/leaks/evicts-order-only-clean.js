// clean
class LRU {
  constructor(max) { this.max = max; this.map = new Map(); this.order = []; }
  set(key, value) {
    this.map.set(key, value);
    this.order.push(key);
    if (this.order.length > this.max) this.map.delete(this.order.shift());
  }
}
const lru = new LRU(50);
exports.step = i => lru.set('k' + i, {id: i, body: 'b' + i});
