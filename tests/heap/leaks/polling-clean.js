// clean
class Poller {
  constructor(i) { this.i = i; this.answers = [i]; }
  start() { this.timer = setInterval(() => this.answers.length, 300000); }
  stop() { clearInterval(this.timer); }
}
exports.step = i => { const poller = new Poller(i); poller.start(); poller.stop(); };
