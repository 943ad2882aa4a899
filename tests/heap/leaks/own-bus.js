// leak: array Array variable bus.handlers.tick
// cure: Call off(), which takes entries out
const bus = {
  handlers: {},
  on(type, handler) { // HERE
    (this.handlers[type] ||= []).push(handler);
  },
  off(type, handler) {
    const list = this.handlers[type];
    if (list) list.splice(list.indexOf(handler), 1);
  },
  emit(type, value) {
    for (const handler of this.handlers[type] || []) handler(value);
  },
};
function panel(i) {
  const shown = {i};
  bus.on('tick', value => { shown.i = value; });
}
exports.step = i => {
  panel(i);
  if (i % 50 === 0) bus.emit('tick', i);
};
