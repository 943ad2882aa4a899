// Two modules whose addresses, which are their texts, begin with the same thousand letters.
const begin = `data:text/javascript,/*${'p'.repeat(1000)}*/`;
const first = await import(`${begin}%0Aexport function make() { return Buffer.allocUnsafeSlow(30000); }`);
const second = await import(`${begin}%0A%0A%0Aexport function make() { const size = 40000; return Buffer.allocUnsafeSlow(size); }`);
globalThis.kept = [];
for (let number = 0; number < 10; number++) kept.push(first.make(), second.make());
process.kill(process.pid, 'SIGKILL');
