// leak: array variable lines
const outer = () => {
  const lines = [];
  const counts = [0];
  return {
    make: () => text => { // HERE
      lines.push({text});
    },
    count: () => { counts[0]++; return lines.length; },
  };
};
const log = outer();
const write = log.make();
exports.step = i => {
  write('line ' + i);
  log.count();
};
