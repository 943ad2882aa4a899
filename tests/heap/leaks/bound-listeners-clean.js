// clean
const EventEmitter = require('events');
class Clock extends EventEmitter {}
const clock = new Clock();
class View {
  constructor(i) {
    this.i = i;
    this.listener = this.draw.bind(this);
    clock.on('tick', this.listener);
  }
  draw() { return this.i; }
  close() { clock.off('tick', this.listener); }
}
exports.step = i => { new View(i).close(); };
