// leak: string string variable log
let log = '';
function write(line) { // HERE
  log += new Date(0).toISOString() + ' line: ' + line + '\n';
}
exports.size = () => log.length;
exports.step = i => write('request ' + i);
