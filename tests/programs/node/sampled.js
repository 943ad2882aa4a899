// Adds 400 sessions of some 8 KiB for each line of input, and says when it has.
const sessions = new Map();
function remember(id, session) {
  sessions.set(id, session);
}
function open(id) {
  const session = {id, rows: []};
  for (let n = 0; n < 100; n++) session.rows.push({n, text: 'row ' + n});
  remember(id, session);
}
let last = 0;
process.stdin.on('data', () => {
  for (let n = 0; n < 400; n++) open(last++);
  console.log('ready');
});
process.stdin.on('end', () => process.exit(0));
console.log('ready');
