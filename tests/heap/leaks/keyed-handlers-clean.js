// clean
class Bus {
  constructor() { this.handlers = {}; }
  subscribe(topic, handler) {
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
    this.off = bus.subscribe('price', event => { this.value = event; });
  }
  close() { this.off(); }
}
exports.step = i => { const widget = new Widget(i); bus.publish('price', i); widget.close(); };
