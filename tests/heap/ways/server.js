// Keeps things in many ways, and takes its snapshot (the only argument) in a function that is called.
// What a way leads to has the property `goal`.
const v8 = require('v8');
const {EventEmitter} = require('events');

const rooms = new Map();
const members = Array.from({length: 18}, (_, n) => ({goal: 'member ' + n}));
rooms.set('lobby', {members});

class Session {
  static all = [{goal: 'static'}];
  #rows = [{goal: 'private'}];
  rows() { return this.#rows; }
}
const session = new Session();

class Link {
  constructor(next) { this.next = next; }
}
let head = {goal: 'list'};
for (let n = 0; n < 1000; n++) head = new Link(head);

function makeStore() {
  const items = new Set([{goal: 'call'}]);
  return {has: key => items.has(key)};
}
const store = makeStore();

const waiting = [];
async function handle(request) {
  await new Promise(resolve => waiting.push(resolve));
  return request;
}
handle({goal: 'suspended'});

const body = {goal: 'timer'};
function guard(request) {
  setTimeout(function late() { return request; }, 1e8);
}
for (let n = 0; n < 100; n++) guard({});
guard(body);

const bound = function target() {}.bind({goal: 'bound'});
const odd = {'odd name': {goal: 'odd'}};
exports.list = [{goal: 'exports'}];
globalThis.forgotten = {goal: 'global'};
process.on('custom', Object.assign(() => {}, {data: {goal: 'listener'}}));

function take(out) {
  const local = {goal: 'stack'};
  v8.writeHeapSnapshot(out);
  return local;
}
function use() { return [Session, session, head, store, bound, odd, rooms]; }
setImmediate(() => {
  use();
  take(process.argv[2]);
  process.exit();
});
