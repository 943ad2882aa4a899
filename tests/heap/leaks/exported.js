// leak: object cache
exports.cache = {};
function remember(i) { // HERE
  exports.cache['key' + i] = {value: i};
}
exports.step = remember;
