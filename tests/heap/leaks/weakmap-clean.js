// clean
const private_ = new WeakMap();
const live = [];
exports.step = i => {
  const one = {i};
  private_.set(one, {secret: [i], owner: one});
  live[i % 40] = one;
};
