// leak: map Map variable memo has 400 entries
let api;
if (process.pid) {
  const memo = new Map();
  const put = (key, value) => memo.set(key, value); // HERE
  const get = key => memo.get(key);
  api = {put, get};
}
exports.step = i => { api.put('k' + i, {i}); api.get('k' + i); };
