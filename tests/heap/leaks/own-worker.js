// leak: objects 401 × Worker
class Worker {
  constructor(queue) { this.queue = queue; this.left = this.right = null; } // HERE
  add(worker) {
    const side = worker.queue < this.queue ? 'left' : 'right';
    if (this[side]) this[side].add(worker); else this[side] = worker;
  }
}
const first = new Worker(0.5);
exports.step = i => first.add(new Worker((i * 0.618) % 1));
