// clean
// As many connections as were in use at once, and there were ever more.
class Connection {
  constructor(id) { this.id = id; this.uses = 0; this.buffer = Buffer.alloc(128); }
}
const idle = [];
let made = 0;
exports.step = i => {
  const inUse = [];
  for (let n = 0; n < 6 + Math.floor(i / 100) * 6; n++) inUse.push(idle.pop() || new Connection(made++));
  for (const connection of inUse) {
    connection.uses++;
    idle.push(connection);
  }
};
