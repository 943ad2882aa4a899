// leak: array
const history = [];
function handle(i) { // HERE
  history.push({i, body: 'body ' + i, at: [i]});
}
exports.step = handle;
