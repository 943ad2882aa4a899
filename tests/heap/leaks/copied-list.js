// leak: array Array variable list has 400 entries
let list = [];
function add(x) { // HERE
  list = list.concat(x);
}
exports.step = i => add({id: i, name: 'n' + i});
