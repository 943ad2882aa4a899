// clean
const jobs = [];
function submit(i) {
  jobs.push({id: i, payload: 'job ' + i});
}
exports.step = i => {
  for (let n = 0; n < 2 * (1 + Math.floor(i / 100)); n++) submit(i);
  while (jobs.length > 5) jobs.shift();
};
