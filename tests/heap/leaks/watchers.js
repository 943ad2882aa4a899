// leak: streams FSWatcher
const fs = require('fs');
function watch(i) {
  fs.watch(__filename, {persistent: false}, () => i);
}
exports.step = i => { if (i % 3 === 0) watch(i); };
