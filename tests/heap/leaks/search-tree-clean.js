// clean
class Index {
  constructor() { this.root = null; this.count = 0; }
  insert(key, value) {
    if (++this.count > 70) { this.root = null; this.count = 0; }
    const node = {key, value, left: null, right: null};
    if (!this.root) { this.root = node; return; }
    for (let at = this.root; ;) {
      const side = key < at.key ? 'left' : 'right';
      if (!at[side]) { at[side] = node; return; }
      at = at[side];
    }
  }
}
const index = new Index();
let seed = 12345;
exports.step = i => {
  seed = (seed * 1103515245 + 12345) & 0x7fffffff;
  index.insert(seed, {id: i, name: 'name ' + seed});
};
