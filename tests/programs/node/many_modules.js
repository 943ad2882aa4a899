// Compiles thousands of WebAssembly modules, each with code of its own that is collected again; then keeps 50 buffers.
'use strict';

// (func (export "f") (param i32) (result i32) local.get 0 i32.const NUMBER i32.add)
function moduleOf(number) {
  const digits = [];
  for (let rest = number; ; rest >>= 7) {
    const isLast = rest < 64;
    digits.push(isLast ? rest : (rest & 0x7f) | 0x80);
    if (isLast) break;
  }
  const body = [0, 0x20, 0, 0x41, ...digits, 0x6a, 0x0b];
  return new Uint8Array([0, 0x61, 0x73, 0x6d, 1, 0, 0, 0, 1, 6, 1, 0x60, 1, 0x7f, 1, 0x7f, 3, 2, 1, 0, 7, 5, 1, 1, 0x66, 0, 0,
    10, body.length + 2, 1, body.length, ...body]);
}

for (let number = 1; number <= 6000; number++) {
  const instance = new WebAssembly.Instance(new WebAssembly.Module(moduleOf(number)));
  if (instance.exports.f(1) !== number + 1) throw new Error(`${number}`);
  if (number % 100 === 0) gc();
}

function afterwards() {
  return Buffer.allocUnsafeSlow(123457);
}

globalThis.kept = [];
for (let number = 0; number < 50; number++) kept.push(afterwards());
process.kill(process.pid, 'SIGKILL');
