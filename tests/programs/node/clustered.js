// A primary with one worker at a time. Each remembers more with each turn and ends when `alerts` has a
// line that begins with its process id; the primary then starts the next one. After three it ends, with
// status 4; with status 9 after some minutes.
'use strict';
const cluster = require('cluster');
const fs = require('fs');
if (cluster.isPrimary) {
  let count = 0;
  const start = () => (count++ < 3 ? cluster.fork() : process.exit(4));
  cluster.on('exit', start);
  start();
  setTimeout(() => process.exit(9), 300000);
} else {
  const kept = [];
  const told = () => fs.existsSync('alerts') && fs.readFileSync('alerts', 'utf8').split('\n');
  setInterval(() => {
    for (let i = 0; i < 100; i++) kept.push({ i });
    const lines = told();
    if (lines && lines.some((line) => line.startsWith(`${process.pid} `))) process.exit(0);
  }, 20);
}
