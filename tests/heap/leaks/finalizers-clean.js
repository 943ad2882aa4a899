// clean
const registry = new FinalizationRegistry(() => {});
function track(i) {
  registry.register({i}, {i, note: 'held value of ' + i});
}
exports.step = track;
