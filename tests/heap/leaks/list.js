// leak: objects
class Entry { // HERE
  constructor(i, next) { this.i = i; this.next = next; this.data = {i}; }
}
let head = null;
exports.step = i => { head = new Entry(i, head); };
