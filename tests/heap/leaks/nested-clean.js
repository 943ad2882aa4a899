// clean
const rooms = new Map([['lobby', new Map()]]);
exports.step = i => {
  const lobby = rooms.get('lobby');
  lobby.set('guest' + i, {i, said: ['hi']});
  lobby.delete('guest' + (i - 10));
};
