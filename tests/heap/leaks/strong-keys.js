// leak: strong-keys
const metadata = new Map();
function annotate(i) { // HERE
  const request = {i, body: [i]};
  metadata.set(request, {at: i, by: 'annotate'});
}
exports.step = annotate;
