// leak: global
globalThis.requests = [];
function log(i) { // HERE
  globalThis.requests.push({i, url: '/path/' + i});
}
exports.step = log;
