// clean
class Request {
  constructor(i) { this.i = i; this.body = [i]; }
  guard() { this.timer = setTimeout(() => this.body.length, 600000); }
  done() { clearTimeout(this.timer); }
}
exports.step = i => { const request = new Request(i); request.guard(); request.done(); };
