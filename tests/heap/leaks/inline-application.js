// leak: set variable tokens
function application() {
  const layers = [];
  return {
    use: handler => layers.push(handler),
    handle(request) {
      let at = 0;
      const next = () => layers[at++]?.(request, next);
      return next();
    },
  };
}
const tokens = new Set();
const known = token => tokens.has(token);
const app = application();
app.use(async (request, next) => { await next(); });
app.use((request, next) => { // HERE
  tokens.add({token: request.id});
  return next();
});
app.use((request, next) => { if (!known(request)) next(); });
exports.step = i => app.handle({id: i});
