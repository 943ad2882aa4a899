// leak: array variable open
const fs = require('fs');
const open = [];
async function peek() { // HERE
  const stream = fs.createReadStream(__filename, {highWaterMark: 64});
  await new Promise(resolve => stream.once('readable', resolve));
  open.push({stream, head: stream.read(16).toString()});
}
exports.step = peek;
