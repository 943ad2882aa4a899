// leak: map variable users
const {AsyncLocalStorage} = require('node:async_hooks');
const storage = new AsyncLocalStorage();
const users = new Map();
const middlewares = [];
const fetchUser = async id => users.get(id) || {id};
middlewares.push(async (context, next) => { // HERE
  const user = await fetchUser(context.id);
  users.set(context.id, {user});
  await next();
});
exports.step = i => storage.run({id: i}, () => middlewares[0]({id: i}, async () => {}));
