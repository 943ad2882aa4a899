// clean
const {EventEmitter, on} = require('events');
const bus = new EventEmitter();
bus.setMaxListeners(0);
async function follow(user, signal) {
  try {
    for await (const [message] of on(bus, 'message', {signal})) {
      if (message.to === user.name) user.seen++;
    }
  } catch (error) {
    if (error.name !== 'AbortError') throw error;
  }
}
exports.step = async i => {
  const controller = new AbortController();
  const done = follow({name: 'user' + i, seen: 0}, controller.signal);
  controller.abort();
  await done;
};
