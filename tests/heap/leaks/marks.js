// leak: performance
function handle(i) { // HERE
  performance.mark('start of request ' + i);
  performance.mark('end of request ' + i);
  performance.measure('request ' + i, 'start of request ' + i, 'end of request ' + i);
}
exports.step = handle;
