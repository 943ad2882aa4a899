// leak: array in a package, by the program's function.
const {enqueue} = require('queue-of-things');
function onMessage(i) { // HERE
  for (let n = 0; n < 3; n++) enqueue('message ' + i);
}
exports.step = onMessage;
