// Heaps of pages in headless Chromium:
//
//     node page-snapshot.mjs CHROMIUM PAGE OUT [EXPRESSION OUT]... [-- PAGE OUT [EXPRESSION OUT]...]...
//
// After the first snapshot of a page each EXPRESSION is evaluated in the page and another snapshot taken. The
// protocol goes over pipes (descriptors 3 and 4): no port is opened.
import {spawn} from 'node:child_process';
import * as fs from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';
import {pathToFileURL} from 'node:url';

const [chromium, ...words] = process.argv.slice(2);
const profile = fs.mkdtempSync(path.join(os.tmpdir(), 'page-snapshot-'));
const child = spawn(chromium, ['--headless', '--no-sandbox', '--disable-gpu', '--disable-dev-shm-usage',
  '--disable-popup-blocking', '--remote-debugging-pipe', `--user-data-dir=${profile}`, 'about:blank'], {
    stdio: ['ignore', 'ignore', 'ignore', 'pipe', 'pipe'], detached: true});
const [, , , to, from] = child.stdio;

let out;
let next = 1;
const waiting = new Map();
const events = new Map();
let rest = '';
from.setEncoding('utf8').on('data', text => {
  const messages = (rest + text).split('\0');
  rest = messages.pop();
  for (const message of messages.map(text => JSON.parse(text))) {
    if (message.method === 'HeapProfiler.addHeapSnapshotChunk') fs.writeSync(out, message.params.chunk);
    events.get(message.method)?.(message.params);
    const {resolve, reject} = waiting.get(message.id) ?? {};
    if (message.error) reject?.(new Error(message.error.message));
    else resolve?.(message.result);
  }
});
const send = (method, params = {}, sessionId) => new Promise((resolve, reject) => {
  waiting.set(next, {resolve, reject});
  to.write(JSON.stringify({id: next++, method, params, sessionId}) + '\0');
});
const event = name => new Promise(resolve => events.set(name, resolve));

try {
  while (words.length) {
    const end = words.indexOf('--');
    const [page, ...steps] = words.splice(0, end < 0 ? words.length : end);
    words.shift();
    const {targetId} = await send('Target.createTarget', {url: 'about:blank'});
    const {sessionId} = await send('Target.attachToTarget', {targetId, flatten: true});
    await send('Page.enable', {}, sessionId);
    const loaded = event('Page.loadEventFired');
    await send('Page.navigate', {url: pathToFileURL(page).href}, sessionId);
    await loaded;
    await send('HeapProfiler.enable', {}, sessionId);
    for (let i = 0; i < steps.length; i += 2) {
      if (i > 0) {
        // What a page does only for its user, such as opening windows, is allowed; a promise is waited for.
        await send('Runtime.evaluate', {expression: steps[i - 1], userGesture: true, awaitPromise: true}, sessionId);
      }
      await send('HeapProfiler.collectGarbage', {}, sessionId);
      out = fs.openSync(steps[i], 'w');
      await send('HeapProfiler.takeHeapSnapshot', {reportProgress: false}, sessionId);
      fs.closeSync(out);
    }
    await send('Target.closeTarget', {targetId});
  }
} finally {
  // All of them: it leads a group.
  process.kill(-child.pid, 'SIGKILL');
  await new Promise(resolve => child.once('exit', resolve));
  // Its renderers write on until they notice.
  fs.rmSync(profile, {recursive: true, force: true, maxRetries: 30, retryDelay: 100});
}
