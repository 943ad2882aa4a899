// WeakMaps with keys that live, values that point to keys, tables within tables; WeakRefs.
const keys = [], tables = [new WeakMap(), new WeakMap()], refs = [], set = new WeakSet();
for (let i = 0; i < 1500; i++) {
  const key = {number: i};
  if (i % 3) keys.push(key);
  tables[i % 2].set(key, {of: i % 5 ? null : key, name: 'v' + i});
  if (i % 7 === 0) tables[0].set(tables[1], keys);
  refs.push(new WeakRef(key));
  set.add(key);
}
const registry = new FinalizationRegistry(() => {});
keys.forEach(key => registry.register(key, 'gone', key));
Object.assign(globalThis, {keys, tables, refs, set, registry});
