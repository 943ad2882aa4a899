// leak: object Object variable hits
const hits = Object.create(null);
function count(path) { // HERE
  hits[path] = (hits[path] || 0) + 1;
}
exports.step = i => count('/user/' + i);
