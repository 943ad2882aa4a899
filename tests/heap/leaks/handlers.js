// leak: array variable handlers
const handlers = [];
function use(i) { // HERE
  const options = {i, path: '/p' + i};
  handlers.push(next => next(options));
}
exports.step = use;
