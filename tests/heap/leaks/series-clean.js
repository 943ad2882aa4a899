// clean
class Series {
  constructor() { this.samples = new Float64Array(16); this.length = 0; }
  add(x) {
    if (this.length === 512) this.length = 0;
    if (this.length === this.samples.length) {
      const larger = new Float64Array(this.samples.length + 64);
      larger.set(this.samples);
      this.samples = larger;
    }
    this.samples[this.length++] = x;
  }
}
const series = new Series();
exports.step = i => { for (let n = 0; n < 9; n++) series.add(i + n); };
