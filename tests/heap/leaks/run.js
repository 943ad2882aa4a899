// node run.js PROGRAM OUT...: does the program's work before each snapshot OUT.
//
// A program exports step(i), called 100 times before each snapshot. Its first line says which leak
// it has: the pattern and a part of what is said, or `clean`; a comment HERE marks the line of the function
// that has to be named; a second line `cure: …`, a part of what ends it.
const v8 = require('v8');
const [program, ...outs] = process.argv.slice(2);
const {step} = require(program);
(async () => {
  let i = 0;
  for (let warm = 0; warm < 100; warm++) await step(i++);
  for (const out of outs) {
    for (let n = 0; n < 100; n++) await step(i++);
    await new Promise(resolve => setTimeout(resolve, 20));
    v8.writeHeapSnapshot(out);
  }
  process.exit();
})();
