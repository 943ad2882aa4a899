// clean
async function handle(i) {
  const rows = new Array(30).fill(i);
  await null;
  return rows.length;
}
exports.step = i => handle(i).catch(() => {});
