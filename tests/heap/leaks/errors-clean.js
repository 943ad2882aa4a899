// clean
const errors = [];
exports.step = i => {
  try {
    throw new Error('request ' + i + ' failed');
  } catch (error) {
    errors[i % 16] = error;
  }
};
