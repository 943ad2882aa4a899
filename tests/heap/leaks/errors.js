// leak: array variable errors
const errors = [];
function fail(i) { // HERE
  try {
    throw new Error('request ' + i + ' failed');
  } catch (error) {
    errors.push(error);
  }
}
exports.step = fail;
