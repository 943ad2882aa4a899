// clean: the stream takes all
const {Writable} = require('stream');
const file = new Writable({
  write(chunk, encoding, done) {
    setImmediate(done);
  },
});
exports.step = async function log(i) {
  if (!file.write('line ' + i + '\n')) await new Promise(resolve => file.once('drain', resolve));
};
