// Says what it sees of its own start, for comparing a run under leak with a plain one.
'use strict';
const { Worker, isMainThread } = require('worker_threads');
console.log(process.execArgv, process.env.NODE_OPTIONS, process._preload_modules, Object.keys(require.cache).length);
if (isMainThread) new Worker(__filename);
