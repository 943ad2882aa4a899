// JSON texts and objects that are made, changed and dropped: work for the collector, little for malloc.
//
//     node json_churn.js [ROUNDS]   default 1000
'use strict';
const rounds = Number(process.argv[2] || 1000);
let sum = 0;
for (let round = 0; round < rounds; round++) {
  const rows = [];
  for (let n = 0; n < 4000; n++) rows.push({ n, name: `row ${n}`, values: [n, round, n * round] });
  const copy = JSON.parse(JSON.stringify(rows));
  sum += copy.filter((row) => row.values[2] % 3 === 0).map((row) => row.name.length).reduce((a, b) => a + b, 0);
}
console.log(sum);
