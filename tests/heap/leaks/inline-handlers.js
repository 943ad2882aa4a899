// leak: array variable audit
const handlers = [];
const audit = [];
const recent = new Map();
handlers.push(request => { // HERE
  audit.push({request});
});
handlers.push(request => recent.set(request.id % 5, request));
handlers.push(request => audit.length + request.id);
exports.step = i => {
  for (const handler of handlers) handler({id: i, path: '/' + i});
};
