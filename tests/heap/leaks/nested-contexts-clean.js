// clean
const {AsyncLocalStorage} = require('async_hooks');
const storage = new AsyncLocalStorage();
let wake;
async function consume() {
  for (let id = 0; ; id++) {
    await new Promise(resolve => { wake = resolve; });
    storage.enterWith({parent: storage.getStore()?.id, id});
  }
}
consume();
exports.step = () => wake();
