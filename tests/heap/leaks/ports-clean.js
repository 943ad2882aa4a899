// clean
const {MessageChannel} = require('worker_threads');
exports.step = async i => {
  const {port1} = new MessageChannel();
  port1.on('message', () => i);
  await new Promise(resolve => { port1.on('close', resolve); port1.close(); });
};
