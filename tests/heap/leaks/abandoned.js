// leak: listeners of EventEmitter has
const {EventEmitter, on} = require('events');
const hub = new EventEmitter();
hub.setMaxListeners(0);
async function first(topic) { // HERE
  const news = on(hub, 'news');
  for (;;) {
    const {value: [item]} = await news.next();
    if (item.topic === topic) return item;
  }
}
exports.step = i => { const found = first(i); hub.emit('news', {topic: i}); return found; };
