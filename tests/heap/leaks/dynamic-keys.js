// leak: array
const groups = {};
function group(key, value) { (groups[key] ||= []).push(value); } // HERE
function work(i) { group(i % 2 ? 'odd' : 'even', {i, rows: new Array(20).fill(i)}); }
exports.step = work;
