// Strings of every kind: flat, joined, parts of others, repeated, beyond ASCII, very long.
const all = [];
let joined = '';
for (let i = 0; i < 2000; i++) {
  joined += 'piece ' + i + ', ';
  all.push(('x'.repeat(40) + i).slice(3, 35), JSON.parse('"repeated text ' + i % 5 + '"'), 'é\u{1f600}"\\\n' + i);
}
all.push(joined, joined.repeat(3), '\ud800', 'a'.repeat(1 << 20), Symbol('named'), 12345678901234567890n, /regular (expression)/gu);
globalThis.all = all;
