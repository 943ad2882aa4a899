// ArrayBuffers, views, small slices of large ones, shared memory, WebAssembly's.
const kept = [];
for (let i = 0; i < 300; i++) {
  kept.push(Buffer.alloc(20000).subarray(0, 8), new Float64Array(10), new DataView(new ArrayBuffer(32), 4));
}
kept.push(new SharedArrayBuffer(1 << 16), new WebAssembly.Memory({initial: 2}), Buffer.from('pool'));
globalThis.kept = kept;
