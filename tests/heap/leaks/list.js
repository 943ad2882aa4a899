// leak: objects
class Entry {
  constructor(i, next) { this.i = i; this.next = next; this.data = {i}; } // HERE
}
let head = null;
exports.step = i => { head = new Entry(i, head); };
