// leak: array variable waiting
const waiting = [];
function acquire() { // HERE
  return new Promise(resolve => waiting.push(resolve));
}
exports.step = () => { acquire(); };
