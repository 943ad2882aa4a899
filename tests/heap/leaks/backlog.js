// leak: array variable jobs
// Jobs come faster than they are done.
const jobs = [];
function submit(i) { // HERE
  jobs.push({id: i, payload: 'job ' + i});
}
exports.step = i => {
  for (let n = 0; n < 2 * (1 + Math.floor(i / 100)); n++) submit(i);
  for (let n = 0; n < 2; n++) jobs.shift();
};
