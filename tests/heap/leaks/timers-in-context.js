// leak: timers
const {AsyncLocalStorage} = require('async_hooks');
const requests = new AsyncLocalStorage();
class Request {
  constructor(i) { this.id = i; this.body = new Array(60).fill(i); }
}
function schedule() { // HERE
  setTimeout(() => {}, 3600000);
}
exports.step = i => requests.run(new Request(i), schedule);
