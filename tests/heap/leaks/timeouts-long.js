// leak: timers timers
class Request {
  constructor(i) { this.i = i; this.body = [i]; }
  guard() { // HERE
    setTimeout(() => this.body.length, 600000);
  }
}
exports.step = i => new Request(i).guard();
