// leak: buffers FrameDecoder.pending
class FrameDecoder {
  constructor() { this.pending = Buffer.alloc(0); this.offset = 0; this.frames = 0; }
  push(chunk) { // HERE
    this.pending = Buffer.concat([this.pending, chunk]);
    while (this.pending.length - this.offset >= 512) { this.frames++; this.offset += 512; }
  }
}
const decoder = new FrameDecoder();
exports.step = i => decoder.push(Buffer.alloc(700, i & 255));
