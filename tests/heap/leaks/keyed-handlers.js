// leak: array Array variable bus.handlers.price has 400 entries
class Bus {
  constructor() { this.handlers = {}; }
  subscribe(topic, handler) { // HERE
    (this.handlers[topic] ||= []).push(handler);
    return () => { this.handlers[topic] = this.handlers[topic].filter(h => h !== handler); };
  }
  publish(topic, event) { for (const h of this.handlers[topic] || []) h(event); }
}
const bus = new Bus();
class Widget {
  constructor(id) {
    this.id = id;
    this.value = null;
    bus.subscribe('price', event => { this.value = event; });
  }
}
exports.step = i => { new Widget(i); bus.publish('price', i); };
