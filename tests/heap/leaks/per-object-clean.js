// clean
class User {
  constructor(name) { this.name = name; this.history = []; }
  did(what) {
    this.history.push({what});
    if (this.history.length > 3) this.history.shift();
  }
}
const users = Array.from({length: 30}, (_, i) => new User('user ' + i));
exports.step = i => users[i % users.length].did('visit ' + i);
