// clean
let newest = null;
exports.step = i => { newest = Buffer.from(Buffer.alloc(30000, i).subarray(0, 8)); };
