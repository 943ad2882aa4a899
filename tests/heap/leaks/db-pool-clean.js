// clean
class Connection { constructor(id) { this.id = id; } async query(sql) { await null; if (sql.includes('bad')) throw new Error('syntax'); return []; } }
class Pool {
  constructor(size) { this.free = Array.from({length: size}, (_, i) => new Connection(i)); this.waiting = []; }
  acquire() {
    const connection = this.free.pop();
    if (connection) return Promise.resolve(connection);
    return new Promise(resolve => this.waiting.push(resolve));
  }
  release(connection) { const next = this.waiting.shift(); if (next) next(connection); else this.free.push(connection); }
}
const pool = new Pool(5);
async function handle(i) {
  const connection = await pool.acquire();
  try { await connection.query(i % 2 ? 'bad' : 'good'); } finally { pool.release(connection); }
}
exports.step = i => { handle(i).catch(() => {}); return new Promise(setImmediate); };
