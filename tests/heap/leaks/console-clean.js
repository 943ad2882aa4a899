// clean
const {Session} = require('inspector');
process.stdout.write = () => true;
const session = new Session();
session.connect();
session.post('Runtime.enable');
class User {
  constructor(i) { this.tags = ['tag ' + i]; }
}
function greet(i) {
  console.log('hello', new User(i));
  console.clear();
}
exports.step = greet;
