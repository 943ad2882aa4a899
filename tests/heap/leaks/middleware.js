// leak: array variable stack
function application() {
  const stack = [];
  return {
    use(handler) { stack.push({handler, path: '/'}); }, // HERE
    handle: request => stack.forEach(layer => layer.handler(request)),
  };
}
const app = application();
exports.step = i => app.use(request => request.i = i);
