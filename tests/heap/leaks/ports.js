// leak: streams
const {MessageChannel} = require('worker_threads');
function subscribe(i) {
  const {port1, port2} = new MessageChannel();
  port1.on('message', () => i);
  port1.unref();
}
exports.step = subscribe;
