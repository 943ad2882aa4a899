// clean
const settings = new EventTarget();
require('events').setMaxListeners?.(0, settings);
function panel(i) {
  const rows = Array.from({length: 10}, (_, n) => i + n);
  const done = () => rows.length;
  settings.addEventListener('change', done);
  settings.removeEventListener('change', done);
}
exports.step = panel;
