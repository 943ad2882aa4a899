// clean
const waiting = [];
function acquire() {
  return new Promise(resolve => waiting.push(resolve));
}
exports.step = async () => {
  const mine = acquire();
  waiting.shift()();
  await mine;
};
