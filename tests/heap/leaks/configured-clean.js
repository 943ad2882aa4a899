// clean: how much is kept says a file
const config = JSON.parse('{"history": {"keep": 5000}}');
const history = [];
exports.step = function remember(i) {
  history.push({id: i, text: 'event ' + i});
  if (history.length > config.history.keep) history.shift();
};
