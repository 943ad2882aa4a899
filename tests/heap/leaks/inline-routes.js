// leak: map variable visits
const routes = new Map();
const visits = new Map();
const limits = new Map();
const get = (path, ...handlers) => routes.set(path, handlers);
get('/limit', (request, reply) => { limits.set(request.id % 5, request); reply.sent = 1; });
get('/visit', (request, reply, next) => next(), (request, reply) => { // HERE
  visits.set(request.id, {at: request.path});
  reply.sent = 2;
});
get('/count', (request, reply) => { reply.sent = visits.size; });
exports.step = i => {
  const request = {id: i, path: '/' + i};
  const reply = {};
  for (const handlers of routes.values())
    for (const handler of handlers) handler(request, reply, () => {});
};
