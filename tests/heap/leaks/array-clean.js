// clean
const history = [];
exports.step = i => {
  history.push({i, body: 'body ' + i});
  if (history.length > 60) history.shift();
};
