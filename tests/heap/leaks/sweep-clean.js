// clean
// Forgets after 60 steps, under a load that rises: there are more entries each time, none of them old.
const hits = new Map();
let next = 0;
exports.step = i => {
  for (let n = 0; n < 2 + Math.floor(i / 100); n++) hits.set('client ' + next++, {since: i, count: 1});
  for (const [client, hit] of hits) if (hit.since < i - 60) hits.delete(client);
};
