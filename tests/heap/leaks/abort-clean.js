// clean
const stopping = new AbortController();
exports.step = i => {
  const body = {i, parts: [i]};
  const stop = () => body.parts.length;
  stopping.signal.addEventListener('abort', stop);
  stopping.signal.removeEventListener('abort', stop);
};
