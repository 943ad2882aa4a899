// leak: async-contexts 400 contexts of AsyncLocalStorage, each with the one before by .parent
const {AsyncLocalStorage} = require('async_hooks');
const storage = new AsyncLocalStorage();
let wake;
async function consume() { // HERE
  for (let id = 0; ; id++) {
    await new Promise(resolve => { wake = resolve; });
    storage.enterWith({parent: storage.getStore(), id});
  }
}
consume();
exports.step = () => wake();
