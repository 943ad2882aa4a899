// clean
async function waitForReply(i) {
  const context = {i};
  await new Promise(resolve => setImmediate(resolve));
  return context;
}
exports.step = i => waitForReply(i);
