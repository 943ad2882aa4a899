// leak: modules Object static require.cache has
const fs = require('fs');
const path = require('path');
const os = require('os');
const dir = fs.mkdtempSync(path.join(os.tmpdir(), 'modules-'));
process.on('exit', () => fs.rmSync(dir, {recursive: true}));
function load(i) { // HERE
  const file = path.join(dir, `template${i}.js`);
  fs.writeFileSync(file, `exports.render = () => ${i};`);
  require(file).render();
}
exports.step = load;
