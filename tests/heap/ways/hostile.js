// Names that would do harm in a page: they end a script, turn the text around, or are not seen. Three snapshots.
const v8 = require('v8');
const NAME = '</script><script>document.title="broken"</script>"\'\u0000\u202e\u2066<b>&amp;';
const held = {[NAME]: {list: []}};
exports.held = () => held;
const classes = {[NAME]: class {}};
for (const out of process.argv.slice(2)) {
  for (let n = 0; n < 100; n++) held[NAME].list.push(new classes[NAME]());
  v8.writeHeapSnapshot(out);
}
