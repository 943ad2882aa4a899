// Objects that native code wraps and holds. The addon is beside the snapshot.
const addon = require(require('path').join(require('path').dirname(process.argv[2]), 'addon.node'));
const kept = [];
for (let i = 0; i < 500; i++) kept.push(addon.wrap({number: i}, {held: i}));
globalThis.kept = kept;
