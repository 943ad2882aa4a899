// leak: modules
const fs = require('fs'), os = require('os'), path = require('path');
const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'reload'));
const file = path.join(folder, 'config.js');
fs.writeFileSync(file, 'module.exports = {table: Array.from({length: 50}, (_, i) => ({i}))};\n');
function reload() { // HERE
  delete require.cache[file];
  return require(file);
}
exports.step = reload;
process.on('exit', () => fs.rmSync(folder, {recursive: true}));
