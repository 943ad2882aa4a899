// leak: array: the words in code tell of step(), which names it and calls add().
const jobs = {list: []};
class Job {
  constructor(i) {
    this.text = ['job', i];
  }
}
function append(to, item) { // HERE
  to.push(item);
}
function step(i) {
  const done = new Set();
  done.add(i);
  for (let n = 0; n < 3; n++) append(jobs.list, new Job(i));
  return jobs.list.push === done.add;
}
exports.step = step;
