// leak: listeners emitter 'exit' of process
process.setMaxListeners(0);
function job(i) { // HERE
  const state = {i, files: ['f' + i]};
  process.on('exit', () => state.files.length);
}
exports.step = job;
