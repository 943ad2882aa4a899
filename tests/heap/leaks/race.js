// leak: promises calls that wait
let stop;
const stopped = new Promise(resolve => { stop = resolve; });
async function serve(i) { // HERE
  const body = {i, parts: ['p' + i]};
  await stopped;
  return body.parts;
}
exports.step = i => { serve(i); };
