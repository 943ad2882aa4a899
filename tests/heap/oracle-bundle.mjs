// Bundles oracle.mjs with DevTools' worker into one file:  node oracle-bundle.mjs MODULES OUT
//
// MODULES is the node_modules folder that has chrome-devtools-frontend and esbuild. Localisation
// is the one thing the worker imports that exists only inside of the browser.
import {createRequire} from 'node:module';
import {dirname, join} from 'node:path';
import {fileURLToPath} from 'node:url';

const [modules, out] = process.argv.slice(2);
const esbuild = createRequire(join(modules, '/'))('esbuild');
await esbuild.build({
  entryPoints: [join(dirname(fileURLToPath(import.meta.url)), 'oracle.mjs')],
  outfile: out,
  bundle: true,
  platform: 'node',
  format: 'esm',
  target: 'node18',
  logLevel: 'error',
  nodePaths: [modules],
  // Promise.withResolvers is younger than Node 20.
  banner: {js: 'Promise.withResolvers ??= function () { let resolve, reject; const promise = new Promise((a, b) => { resolve = a; reject = b; }); return {promise, resolve, reject}; };'},
  plugins: [{
    name: 'without-localisation',
    setup(build) {
      build.onResolve({filter: /\/i18n\.js$/}, () => ({path: 'i18n', namespace: 'stub'}));
      build.onLoad({filter: /.*/, namespace: 'stub'}, () => ({contents: 'export const i18n = new Proxy({}, {get: () => text => text});'}));
    },
  }],
});
