// leak: string-copies
let newest = null;
function receive() { // HERE
  const message = JSON.parse('{"type": "' + 'an agent with a rather long name'.repeat(3) + '"}');
  newest = {agent: message.type, before: newest};
}
exports.step = receive;
