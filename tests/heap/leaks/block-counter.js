// leak: map Map variable jobs
// cure: Delete entries
exports.step = function () {};
try {
  const jobs = new Map();
  let next = 0;
  exports.step = function submit() { // HERE
    jobs.set(next, {id: next++});
  };
} catch {}
