// clean
class Queue {
  constructor() { this.head = this.tail = null; this.length = 0; }
  push(job) {
    const link = {job, next: null};
    if (this.tail) this.tail.next = link; else this.head = link;
    this.tail = link;
    if (++this.length > 40) this.shift();
  }
  shift() { this.head = this.head.next; this.length--; }
}
const queue = new Queue();
exports.step = i => queue.push({number: i});
