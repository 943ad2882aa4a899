// clean
class Mailer {
  pending = [];
  send(i) {
    this.pending.push({to: 'u' + i, text: 'hello'});
    if (this.pending.length >= 25) this.pending.splice(0);
  }
}
const mailer = new Mailer();
exports.step = i => mailer.send(i);
