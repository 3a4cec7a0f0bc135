// Runs at the end of `npm ci`, as root or not, possibly under an old Node: plain JavaScript, no dependencies.
// Builds the native launcher and, in a checkout, the bundled CLI; an installed package brings its bundle with it.
import { spawnSync } from 'node:child_process';
import { existsSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const packageRoot = path.dirname(path.dirname(fileURLToPath(import.meta.url)));
const bundler = path.join(packageRoot, 'node_modules', 'rolldown');
const bundling = path.join(packageRoot, 'scripts', 'build-cli.mjs');
const ownNode = path.join(packageRoot, 'node_modules', '.bin', 'node');

if (process.platform !== 'linux') fail('builds and runs containers on Linux only');
run('scripts/build-native.mjs');
if (existsSync(bundling)) {
  if (!existsSync(bundler))
    fail('the CLI cannot be bundled without rolldown: install the development dependencies too');
  run(bundling);
}

rememberNode();

/** For bin/kiln: the Node that came with the package, when it works and is new enough. */
function rememberNode() {
  const file = path.join(packageRoot, 'dist', 'node');
  const { status, stdout } = spawnSync(ownNode, ['--version'], { encoding: 'utf8' });
  const isNewEnough = status === 0 && Number(/^v(\d+)\./.exec(stdout)?.[1]) >= 24;
  if (isNewEnough) writeFileSync(file, `${ownNode}\n`);
  else rmSync(file, { force: true });
}

/** Runs a script on the Node that the npm package `node` brings, or, where that has none, on this one. */
function run(script) {
  const hasOwn = spawnSync(ownNode, ['--version'], { stdio: 'ignore' }).status === 0;
  const { status } = spawnSync(hasOwn ? ownNode : process.execPath, [script], {
    cwd: packageRoot,
    stdio: ['ignore', 'inherit', 'inherit'],
  });
  if (status !== 0) process.exit(status ?? 1);
}

function fail(sentence) {
  console.error(`kiln: ${sentence}`);
  process.exit(1);
}
