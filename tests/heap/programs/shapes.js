// Plain objects of many shapes; classes with accessors, private and static fields; names with quotes.
class Point { #secret = {a: 1}; static all = []; constructor(x) { this.x = x; Point.all.push(this); } get y() { return this.#secret; } }
const kept = [];
for (let i = 0; i < 2500; i++) {
  kept.push({id: i, name: 'n' + i}, {name: 'n' + i, id: i, extra: {a: {}, b: []}}, {'with, comma': i, "it's": 1, [Symbol('s')]: {}});
  if (i % 4 === 0) kept.push(new Point(i), {['only' + i]: {}}, Object.create(null, {hidden: {value: {}, enumerable: false}}));
  const wide = {};
  for (let j = 0; j < i % 30; j++) wide['a rather long property name ' + j] = j % 2 ? {} : j;
  kept.push(wide, new Proxy(wide, {}), new Error('error ' + i % 3), new Date(i), Object.freeze([1.5, i]));
}
Object.defineProperty(globalThis, 'kept', {get() { return kept; }});
