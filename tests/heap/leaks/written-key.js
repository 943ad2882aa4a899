// leak: array Array variable groups.even has 200 entries
const groups = {};
function group(k, v) { (groups[k] ||= []).push(v); } // HERE
function work(i) { const v = {i}; group(i % 2 ? 'odd' : 'even', v); return [v].push(i); }
exports.step = i => { work(i); };
