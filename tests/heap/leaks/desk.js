// leak: map Map Desk.tickets
// cure: Call resolve(), which takes entries out
class Desk {
  constructor() {
    this.tickets = new Map();
  }
  open(id, text) { // HERE
    this.tickets.set(id, {id, text});
  }
  resolve(id) {
    const ticket = this.tickets.get(id);
    if (ticket) this.tickets.delete(id);
    return ticket;
  }
  count() {
    return this.tickets.size;
  }
}
const desk = new Desk();
exports.step = i => {
  desk.open(i, `ticket ${i}`);
  if (desk.count() > 1e6) desk.resolve(i);
};
