// leak: map variable blobs
const blobs = new Map();
function upload(i) { // HERE
  blobs.set(i + '.bin', Buffer.alloc(2000, i));
}
exports.step = upload;
