// leak: array
const api = {
  log: [],
  record(i) { this.log.push({i, at: new Array(20).fill(i)}); }, // HERE
  count() { return this.log.length; },
};
exports.step = i => { api.record(i); api.count(); };
