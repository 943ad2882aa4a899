// leak: async-contexts
const {AsyncLocalStorage, AsyncResource} = require('async_hooks');
const requests = new AsyncLocalStorage();
let newest = null;
function serve(i) { // HERE
  requests.run({request: 'r' + i, body: 'b'.repeat(100) + i}, () => {
    newest = {resource: new AsyncResource('work'), before: newest};
  });
}
exports.step = serve;
