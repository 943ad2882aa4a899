// leak: listeners of EventEmitter has
const {EventEmitter, on} = require('events');
const bus = new EventEmitter();
bus.setMaxListeners(0);
async function follow(user) { // HERE
  for await (const [message] of on(bus, 'message')) {
    if (message.to === user.name) user.seen++;
  }
}
exports.step = i => { follow({name: 'user' + i, seen: 0}); };
