// clean
class Branch {
  constructor(key) { this.key = key; this.left = null; this.right = null; }
}
let root = null;
let seed = 1;
exports.step = i => {
  if (i % 50 === 0) root = null;
  seed = (seed * 48271) % 2147483647;
  let at = root;
  if (!at) root = new Branch(seed);
  while (at) {
    const side = seed < at.key ? 'left' : 'right';
    if (!at[side]) { at[side] = new Branch(seed); break; }
    at = at[side];
  }
};
