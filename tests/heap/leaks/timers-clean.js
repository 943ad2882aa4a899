// clean
exports.step = i => {
  const report = {i, rows: new Array(30).fill(i)};
  clearTimeout(setTimeout(() => report.rows.length, 3600000));
};
