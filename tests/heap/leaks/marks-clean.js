// clean
function handle(i) {
  performance.mark('start');
  performance.mark('end');
  performance.measure('request ' + i, 'start', 'end');
  performance.clearMarks();
  performance.clearMeasures();
}
exports.step = handle;
