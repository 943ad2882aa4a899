// leak: finalizers
const registry = new FinalizationRegistry(() => {});
const live = {};
function track(i) { // HERE
  registry.register(live, {i, note: 'held value of ' + i});
}
exports.step = track;
