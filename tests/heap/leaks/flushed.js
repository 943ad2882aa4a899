// leak: array Array Shipper.lines
// cure: Remove what has been dealt with
// All would go with a new file; nobody begins one.
class Shipper {
  lines = [];
  add(line) { // HERE
    this.lines.push({line});
  }
  begin() {
    this.lines = [];
  }
}
const shipper = new Shipper();
exports.step = i => shipper.add('request ' + i);
