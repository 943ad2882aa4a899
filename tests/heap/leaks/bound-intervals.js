// leak: intervals
class Job {
  constructor(id) {
    this.id = id;
    this.args = new Array(30).fill(id);
  }
  run() { this.last = this.args.length; }
}
const jobs = new Map();
function schedule(i) { // HERE
  const job = new Job(i % 5);
  jobs.set(job.id, setInterval(job.run.bind(job), 3600000));
}
exports.step = schedule;
