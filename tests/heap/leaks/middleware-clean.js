// clean
function application() {
  const stack = [];
  return {
    use(handler) { stack.push({handler, path: '/'}); },
    handle: request => stack.forEach(layer => layer.handler(request)),
  };
}
const app = application();
app.use(request => { request.seen = true; });
exports.step = i => app.handle({i});
