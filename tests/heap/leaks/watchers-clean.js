// clean
const fs = require('fs');
exports.step = i => {
  const watcher = fs.watch(__filename, {persistent: false}, () => i);
  return new Promise(resolve => { watcher.on('close', resolve); watcher.close(); });
};
