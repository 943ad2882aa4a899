// clean
exports.step = i => {
  const state = {i};
  const timer = setInterval(() => { state.last = [i]; }, 3600000);
  clearInterval(timer);
};
