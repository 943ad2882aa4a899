// leak: objects objects below Index.root
class Index {
  constructor() { this.root = null; }
  insert(key, value) { // HERE
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
