// leak: symbols
function tag(i) { // HERE
  return Symbol.for('a tag of the request with a long name and the number ' + i);
}
exports.step = i => { for (let n = 0; n < 10; n++) tag(i * 10 + n); };
