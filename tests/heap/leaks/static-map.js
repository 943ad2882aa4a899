// leak: map static Session.byId
class Session {
  static byId = new Map();
  constructor(i) { this.i = i; this.seen = [i]; }
}
function open(i) { // HERE
  Session.byId.set('s' + i, new Session(i));
}
exports.step = open;
