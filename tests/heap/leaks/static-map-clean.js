// clean
class Session {
  static byId = new Map();
  constructor(i) { this.i = i; this.seen = [i]; }
}
exports.step = i => {
  Session.byId.set('s' + i, new Session(i));
  Session.byId.delete('s' + (i - 50));
};
