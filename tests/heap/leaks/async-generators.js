// leak: promises
let release;
const never = new Promise(() => {});
async function* pages(i) { // HERE
  const rows = Array.from({length: 20}, (_, n) => i + n);
  yield rows[0];
  await never;
  yield rows[1];
}
exports.step = async i => {
  const it = pages(i);
  await it.next();
  it.next();
};
