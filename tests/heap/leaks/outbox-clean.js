// clean
class Outbox {
  constructor() { this.unacked = new Map(); this.sequence = 0; }
  send(topic, body) {
    const id = ++this.sequence;
    this.unacked.set(id, {topic, body, tries: 0, timer: null});
    return id;
  }
  ack(id) { this.unacked.delete(id); }
}
const outbox = new Outbox();
exports.step = i => outbox.ack(outbox.send('orders', {i}));
