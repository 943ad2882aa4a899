// leak: listeners emitter 'tick' of Clock
const EventEmitter = require('events');
class Clock extends EventEmitter {}
const clock = new Clock();
clock.setMaxListeners(0);
class View {
  constructor(i) { // HERE
    this.i = i;
    clock.on('tick', this.draw.bind(this));
  }
  draw() { return this.i; }
}
exports.step = i => { new View(i); };
