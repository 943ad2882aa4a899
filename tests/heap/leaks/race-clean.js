// clean
async function serve(i) {
  const body = {i, parts: ['p' + i]};
  let stop;
  const stopped = new Promise(resolve => { stop = resolve; });
  setImmediate(stop);
  await stopped;
  return body.parts;
}
exports.step = i => serve(i);
