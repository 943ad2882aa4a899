// clean
const {AsyncLocalStorage, AsyncResource} = require('async_hooks');
const requests = new AsyncLocalStorage();
let newest = null;
exports.step = i => new Promise(resolve => {
  requests.run({request: 'r' + i, body: 'b'.repeat(100) + i}, () => {
    newest = new AsyncResource('work');
    setImmediate(() => newest.runInAsyncScope(resolve));
  });
});
