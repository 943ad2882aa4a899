// clean
class Job {
  static all = [];
  constructor(i) {
    this.i = i;
    this.result = {i};
    Job.all.push(this);
  }
  end() { Job.all.splice(Job.all.indexOf(this), 1); }
}
exports.step = i => { new Job(i).end(); };
