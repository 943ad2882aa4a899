// Chrome DevTools' own figures of heap snapshots: its snapshot worker, from the npm package
// chrome-devtools-frontend, run headless. Bundled by oracle-bundle.mjs; then
//
//   node oracle.js nodes   FILE        id, self size, retained size, distance, dominator's ordinal: a line a node
//   node oracle.js classes FILE        the summary view, as JSON: key -> count, distance, self, retained
//   node oracle.js diff    FILE FILE   the comparison view, as JSON
//   node oracle.js allocations FILE    what each function has allocated, as JSON, if allocations were tracked
//   node oracle.js time    FILE...     parses and computes, prints the seconds of each file
//
// As in DevTools, dominators are computed by a second worker, on a second thread.
import * as fs from 'node:fs';
import {MessageChannel, Worker, isMainThread, parentPort} from 'node:worker_threads';

import * as Worker0 from 'chrome-devtools-frontend/front_end/entrypoints/heap_snapshot_worker/heap_snapshot_worker.js';

const {HeapSnapshotLoader} = Worker0.HeapSnapshotLoader;
const {SecondaryInitManager} = Worker0.HeapSnapshot;

/** A pipe takes less than what is written at once. */
function write(text) {
  const bytes = Buffer.from(text);
  for (let at = 0; at < bytes.length;) {
    try {
      at += fs.writeSync(1, bytes, at);
    } catch (error) {
      if (error.code !== 'EAGAIN') throw error;
    }
  }
}

async function load(path) {
  const loader = new HeapSnapshotLoader({sendEvent() {}});
  const file = fs.openSync(path);
  const piece = Buffer.allocUnsafe(4 << 20);
  const decoder = new TextDecoder();
  for (let read; (read = fs.readSync(file, piece)) > 0;) {
    loader.write(decoder.decode(piece.subarray(0, read), {stream: true}));
    await null;
  }
  fs.closeSync(file);
  loader.close();
  await loader.parsingComplete;
  const channel = new MessageChannel();
  const second = new Worker(new URL(import.meta.url));
  second.postMessage(channel.port2, [channel.port2]);
  const snapshot = await loader.buildSnapshot(channel.port1);
  channel.port1.close();
  await second.terminate();
  return snapshot;
}

function nodes(snapshot) {
  const node = snapshot.createNode(0);
  const fields = snapshot.nodeFieldCount;
  let lines = [];
  for (let i = 0; i < snapshot.nodeCount; ++i) {
    node.nodeIndex = i * fields;
    lines.push(`${node.id()} ${node.selfSize()} ${node.retainedSize()} ${node.distance()} ${node.dominatorIndex() / fields}\n`);
    if (lines.length === 100000) {
      write(lines.join(''));
      lines = [];
    }
  }
  write(lines.join(''));
}

async function main([job, ...paths]) {
  console.warn = () => {};
  if (job === 'nodes') {
    nodes(await load(paths[0]));
  } else if (job === 'classes') {
    const all = (await load(paths[0])).aggregatesWithFilter({});
    const table = {};
    for (const key in all) {
      const {name, count, distance, self, maxRet} = all[key];
      table[key] = {name, count, distance, self, retained: maxRet};
    }
    write(JSON.stringify(table));
  } else if (job === 'diff') {
    const [base, now] = [await load(paths[0]), await load(paths[1])];
    const all = now.calculateSnapshotDiff(1, base.aggregatesForDiff(now.interfaceDefinitions()));
    const table = {};
    for (const key in all) {
      const {name, addedCount, removedCount, addedSize, removedSize, countDelta, sizeDelta} = all[key];
      table[key] = {name, addedCount, removedCount, addedSize, removedSize, countDelta, sizeDelta};
    }
    write(JSON.stringify(table));
  } else if (job === 'allocations') {
    const all = (await load(paths[0])).allocationTracesTops();
    write(JSON.stringify(all.map(({name, scriptName: file, line, column, count, size, liveCount, liveSize}) =>
      ({name, file, line, column, count, size, liveCount, liveSize}))));
  } else {
    for (const path of paths) {
      const start = process.hrtime.bigint();
      await load(path);
      console.log(Number(process.hrtime.bigint() - start) / 1e9);
    }
  }
}

if (isMainThread) {
  await main(process.argv.slice(2));
} else {
  parentPort.once('message', port => new SecondaryInitManager(port));
}
