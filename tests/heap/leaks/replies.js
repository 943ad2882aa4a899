// leak: listeners EventEmitter has listeners of
const {EventEmitter} = require('events');
const bus = new EventEmitter();
function ask(id) { // HERE
  bus.once('reply:' + id, answer => answer + id);
}
exports.step = ask;
