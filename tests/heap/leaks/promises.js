// leak: promises
const {EventEmitter} = require('events');
async function waitForReply(i) { // HERE
  const context = {i, buffer: new Array(20).fill(i)};
  await new Promise(resolve => { context.resolve = resolve; globalThis.last = resolve; held = {resolve, before: held}; });
  return context;
}
let held = null;
exports.step = i => { waitForReply(i); };
