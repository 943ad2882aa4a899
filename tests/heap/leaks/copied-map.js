// leak: map Map variable sessions has 400 entries
let sessions = new Map();
function open(i) { // HERE
  sessions = new Map([...sessions, [i, {id: i, token: 't' + i}]]);
}
exports.step = open;
