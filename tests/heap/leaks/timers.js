// leak: timers
function schedule(i) { // HERE
  const report = {i, rows: new Array(30).fill(i)};
  setTimeout(() => report.rows.length, 3600000);
}
exports.step = schedule;
