// leak: listeners emitter 'abort' of AbortSignal (variable stopping)
const stopping = new AbortController();
require('events').setMaxListeners?.(0, stopping.signal);
function request(i) { // HERE
  const body = {i, parts: [i]};
  stopping.signal.addEventListener('abort', () => body.parts.length);
}
exports.step = request;
