// clean
const refs = new Set();
const registry = new FinalizationRegistry(ref => refs.delete(ref));
let newest = null;
exports.step = i => {
  newest = {i};
  const ref = new WeakRef(newest);
  refs.add(ref);
  registry.register(newest, ref);
  for (const old of refs) if (refs.size > 30) refs.delete(old);
};
