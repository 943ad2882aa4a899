// leak: object
class Tracker {
  constructor() { this.marks = {}; }
  mark(name, at) { this.marks[name] = {at, rows: new Array(20).fill(at)}; } // HERE
  size() { return Object.keys(this.marks).length; }
}
exports.step = (() => {
  const tracker = new Tracker();
  return i => { tracker.mark('mark' + i, i); tracker.size(); };
})();
