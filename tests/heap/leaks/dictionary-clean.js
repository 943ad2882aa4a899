// clean
const users = Object.create(null);
exports.step = i => {
  users['user-' + i] = {i, at: [i]};
  delete users['user-' + (i - 30)];
};
