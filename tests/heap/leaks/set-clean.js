// clean
const seen = new Set();
exports.step = i => {
  const request = {request: i};
  seen.add(request);
  seen.delete(request);
};
