// leak: listeners 'change' of EventTarget (variable settings)
const settings = new EventTarget();
require('events').setMaxListeners?.(0, settings);
function panel(i) { // HERE
  const rows = Array.from({length: 10}, (_, n) => i + n);
  settings.addEventListener('change', () => rows.length);
}
exports.step = panel;
