// leak: intervals intervals
class Poller {
  constructor(i) { this.i = i; this.answers = [i]; }
  start() { // HERE
    setInterval(() => this.answers.length, 300000).unref();
  }
}
exports.step = i => { new Poller(i).start(); };
