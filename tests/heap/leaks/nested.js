// leak: map in variable rooms
const rooms = new Map([['lobby', new Map()]]);
function join(i) { // HERE
  rooms.get('lobby').set('guest' + i, {i, said: ['hi']});
}
exports.step = join;
