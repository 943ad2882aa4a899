// clean
const agents = new Map();
let newest = null;
exports.step = () => {
  const message = JSON.parse('{"type": "' + 'an agent with a rather long name'.repeat(3) + '"}');
  if (!agents.has(message.type)) agents.set(message.type, message.type);
  newest = {agent: agents.get(message.type)};
};
