// leak: set Set Chat.members has 400 entries
const net = require('net');
class Chat {
  constructor() { this.members = new Set(); }
  join(socket) { this.members.add(socket); } // HERE
  say(text) { for (const member of this.members) member.write(text); }
}
const chat = new Chat();
let server;
async function listen() {
  server = net.createServer(socket => chat.join(socket)).listen(0);
  await new Promise(done => server.once('listening', done));
}
exports.step = async () => {
  if (!server) await listen();
  const joined = new Promise(done => server.once('connection', done));
  const client = net.connect(server.address().port);
  client.on('data', () => {});
  await joined;
};
