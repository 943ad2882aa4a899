// clean
const metadata = new WeakMap();
exports.step = i => {
  const request = {i, body: [i]};
  metadata.set(request, {at: i});
};
