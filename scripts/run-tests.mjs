// usage: node scripts/run-tests.mjs [arguments of vitest]
// Root's tests also run as an ordinary user, who must be able to read the checkout. Where that is not so, as below
// /root, the tests see it at another place: a bind mount in a mount namespace of their own.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';

const checkout = path.dirname(import.meta.dirname);
const vitest = ['node_modules/.bin/vitest', 'run', ...process.argv.slice(2)];

process.exitCode = isReadableByOthers() ? run(vitest, checkout) : runElsewhere();

function isReadableByOthers() {
  if (process.getuid() !== 0) return true;
  const asNobody = [
    '--reuid=65534',
    '--regid=65534',
    '--clear-groups',
    'test',
    '-r',
    path.join(checkout, 'package.json'),
  ];
  return spawnSync('setpriv', asNobody).status === 0;
}

function runElsewhere() {
  const place = mkdtempSync(path.join(tmpdir(), 'kiln-checkout-'));
  try {
    const script = 'mount --bind "$0" "$1" && cd "$1" && shift && exec "$@"';
    // npm put the checkout's own programs on PATH, by the place that others cannot read.
    const PATH = process.env.PATH.replaceAll(checkout, place);
    return run(['unshare', '--mount', 'sh', '-c', script, checkout, place, ...vitest], checkout, { PATH });
  } finally {
    rmdirSync(place);
  }
}

function run([program, ...args], cwd, env = {}) {
  const { status, error } = spawnSync(program, args, { cwd, env: { ...process.env, ...env }, stdio: 'inherit' });
  if (error !== undefined) throw error;
  return status ?? 1;
}
