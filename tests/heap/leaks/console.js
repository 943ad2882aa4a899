// leak: console objects printed
const {Session} = require('inspector');
process.stdout.write = () => true;
// As DevTools does when it is opened.
const session = new Session();
session.connect();
session.post('Runtime.enable');
class User {
  constructor(i) { this.tags = ['tag ' + i]; }
}
function greet(i) { // HERE
  console.log('hello', new User(i));
}
exports.step = greet;
