// leak: array Array in Emitter.handlers has 400 entries
class Emitter {
  constructor() { this.handlers = new Map([['tick', []]]); }
  count(topic) { const list = this.handlers.get(topic); return list ? list.length : 0; }
  listen(topic, handler) { // HERE
    const list = this.handlers.get(topic);
    if (list) {
      list.push(handler);
    }
  }
}
const emitter = new Emitter();
exports.step = i => {
  emitter.listen('tick', {id: i});
  emitter.count('tick');
};
