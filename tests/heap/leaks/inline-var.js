// leak: array variable log
var log = [];
var names = new Map();
var handlers = {
  seen: event => { // HERE
    log.push({event});
  },
  named: event => names.set(event.name.length, event),
  count: () => log.length,
};
exports.step = i => {
  var event = {name: 'n' + i};
  handlers.seen(event);
  handlers.named(event);
  handlers.count();
};
