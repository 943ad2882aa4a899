// Run by leaks/run.js: sessions in a Map, every fifth without a user; a slice of a long text.
class Session {
  constructor(i) {
    this.id = 's' + i;
    if (i % 5) this.user = {name: 'user' + i};
    this.url = JSON.parse('"https://example.org/' + i + '"');
  }
}
const sessions = new Map();
const whole = JSON.parse('"a long text' + 'x'.repeat(4000) + '"');
exports.part = whole.slice(5, 40);
exports.step = i => {
  const session = new Session(i);
  sessions.set(session.id, session);
};
