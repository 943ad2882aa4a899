// Containers: Map, Set, arrays with holes, dictionaries, numeric keys.
class Entry { constructor(i) { this.i = i; this.self = this; } }
const map = new Map(), set = new Set(), holes = [], dictionary = {}, numeric = {};
for (let i = 0; i < 3000; i++) {
  const entry = new Entry(i);
  map.set(entry, {value: i});
  set.add('key' + i);
  if (i % 10 === 0) holes[i * 10] = entry;
  dictionary['k' + i] = entry;
  numeric[i * 3] = [i];
}
delete dictionary.k5;
Object.assign(globalThis, {map, set, holes, dictionary, numeric});
