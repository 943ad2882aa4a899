// clean
const byId = Object.create(null);
exports.step = i => {
  byId['id' + i] = {i};
  delete byId['id' + (i - 30)];
};
