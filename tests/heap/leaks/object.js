// leak: object
const byId = {};
function index(i) { // HERE
  byId['id' + i] = {i, of: ['a' + i]};
}
exports.step = index;
