// leak: set
const seen = new Set();
function remember(i) { // HERE
  seen.add({request: i, headers: {host: 'h' + i}});
}
exports.step = remember;
