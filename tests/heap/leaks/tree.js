// leak: objects × Branch
class Branch {
  constructor(key) { this.key = key; this.left = null; this.right = null; } // HERE
}
let root = null;
let seed = 1;
exports.step = () => {
  seed = (seed * 48271) % 2147483647;
  let at = root;
  if (!at) root = new Branch(seed);
  while (at) {
    const side = seed < at.key ? 'left' : 'right';
    if (!at[side]) { at[side] = new Branch(seed); break; }
    at = at[side];
  }
};
