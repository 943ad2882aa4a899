// leak: list linked list variable head has 400 links: Entry
class Entry {
  constructor(i, next) { this.i = i; this.next = next; this.data = {i}; }
}
let head = null;
exports.step = i => { head = new Entry(i, head); }; // HERE
