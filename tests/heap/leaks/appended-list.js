// leak: list linked list Queue.head
class Queue {
  constructor() { this.head = this.tail = null; }
  push(job) { // HERE
    const link = {job, next: null};
    if (this.tail) this.tail.next = link; else this.head = link;
    this.tail = link;
  }
  shift() { this.head = this.head.next; }
}
const queue = new Queue();
exports.step = i => queue.push({number: i});
