// clean
class Job {
  constructor(id) {
    this.id = id;
    this.args = new Array(30).fill(id);
  }
  run() { this.last = this.args.length; }
}
const jobs = new Map();
function schedule(i) {
  const job = new Job(i % 5);
  clearInterval(jobs.get(job.id));
  jobs.set(job.id, setInterval(job.run.bind(job), 3600000));
}
exports.step = schedule;
