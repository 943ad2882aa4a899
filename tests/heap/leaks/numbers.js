// leak: array Array Histogram.samples has room for
class Histogram {
  constructor() { this.samples = []; }
  observe(value) { this.samples.push(value); } // HERE
}
const seconds = new Histogram();
exports.step = i => {
  for (let n = 0; n < 20; n++) seconds.observe(i + n / 20);
};
