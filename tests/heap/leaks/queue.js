// leak: array Mailer.pending
class Mailer {
  pending = [];
  send(i) { // HERE
    this.pending.push({to: 'u' + i, text: 'hello'});
  }
}
const mailer = new Mailer();
exports.step = i => mailer.send(i);
