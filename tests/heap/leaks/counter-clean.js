// clean
const hits = Object.create(null);
function count(path) {
  hits[path] = (hits[path] || 0) + 1;
}
exports.step = i => count('/user/' + i % 50);
