// clean
const blobs = new Map();
exports.step = i => {
  blobs.set(i % 20 + '.bin', Buffer.alloc(2000, i));
};
