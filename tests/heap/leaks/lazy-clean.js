// clean
const names = ['zlib', 'crypto', 'http2', 'readline', 'dgram', 'tls', 'cluster', 'stream/web', 'diagnostics_channel'];
exports.step = i => {
  if (i % 50 === 0) require(names[i / 50 % names.length]);
};
