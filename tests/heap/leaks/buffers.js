// leak: buffers
let newest = null;
function receive(i) {
  const whole = Buffer.alloc(30000, i);
  newest = {part: whole.subarray(0, 8), before: newest};
}
exports.step = receive;
