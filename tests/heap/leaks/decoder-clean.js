// clean
class FrameDecoder {
  constructor() { this.pending = Buffer.alloc(0); this.frames = 0; }
  push(chunk) {
    this.pending = Buffer.concat([this.pending, chunk]);
    while (this.pending.length >= 512) { this.frames++; this.pending = this.pending.subarray(512); }
  }
}
const decoder = new FrameDecoder();
exports.step = i => decoder.push(Buffer.alloc(700, i & 255));
