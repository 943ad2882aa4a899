// leak: map Counter.series
class Counter {
  series = new Map();
  count(labels) { // HERE
    const key = JSON.stringify(labels);
    this.series.set(key, (this.series.get(key) || 0) + 1);
  }
}
const requests = new Counter();
exports.step = i => requests.count({path: '/user/' + i, method: 'GET'});
