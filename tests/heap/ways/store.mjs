export const sessions = new Map();
export let list = [];
export default class Registry {
  static items = [];
}
const hidden = new Set();
export function put(n) {
  sessions.set('user ' + n, {n});
  list.push({n});
  Registry.items.push({n});
  hidden.add({n});
}
