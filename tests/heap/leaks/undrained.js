// leak: streams chunks wait to be written
// cure: wait for 'drain'
const {Writable} = require('stream');
const file = new Writable({write() {}});
exports.step = function log(i) { // HERE
  file.write('line ' + i + '\n');
};
