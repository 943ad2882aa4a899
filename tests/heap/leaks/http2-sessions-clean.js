// clean
const http2 = require('http2');
const server = http2.createServer();
server.on('stream', stream => { stream.respond({':status': 200}); stream.end('ok'); });
const listening = new Promise(resolve => server.listen(0, () => resolve(server.address().port)));
async function fetchOnce(path) {
  const client = http2.connect('http://localhost:' + await listening);
  const request = client.request({':path': path});
  let text = '';
  request.on('data', part => text += part);
  await new Promise((resolve, reject) => request.on('end', resolve).on('error', reject));
  client.close();
  return text;
}
exports.step = async i => { await fetchOnce('/' + i); };
