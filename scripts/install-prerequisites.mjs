// usage: node scripts/install-prerequisites.mjs quickstart|test
// Brings the Debian packages that npm cannot: as root on Debian they are installed; elsewhere one sentence names them.
// `quickstart` cannot go on without its packages; tests skip what is missing, except where CI is set.
import { spawnSync } from 'node:child_process';
import { accessSync, constants, existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';

/** Which program comes from which package. */
const packageOf = {
  mmdebstrap: 'mmdebstrap',
  newuidmap: 'uidmap',
  'docker-registry': 'docker-registry',
  busybox: 'busybox-static',
  skopeo: 'skopeo',
  umoci: 'umoci',
  pasta: 'passt',
  buildah: 'buildah',
  podman: 'podman',
  runc: 'runc',
  setcap: 'libcap2-bin',
  git: 'git',
  xz: 'xz-utils',
  bzip2: 'bzip2',
  zstd: 'zstd',
  script: 'bsdutils',
  dnf: 'dnf',
  rpm: 'rpm',
  createrepo_c: 'createrepo-c',
};
const neededFor = {
  quickstart: ['mmdebstrap', 'newuidmap', 'pasta'],
  test: Object.keys(packageOf),
};
const serviceGuard = '/usr/sbin/policy-rc.d';

const purpose = process.argv[2];
if (!Object.hasOwn(neededFor, purpose)) {
  console.error('usage: node scripts/install-prerequisites.mjs quickstart|test');
  process.exit(2);
}

const missing = neededFor[purpose].filter((program) => !isInstalled(program)).map((program) => packageOf[program]);
if (missing.length > 0) {
  const isDebian = existsSync('/etc/debian_version') && isInstalled('apt-get');
  if (process.getuid() === 0 && isDebian) install(missing);
  else explain(missing);
}

function isInstalled(program) {
  const folders = [...(process.env.PATH ?? '').split(':'), '/usr/local/sbin', '/usr/sbin', '/sbin'];
  return folders.some((folder) => {
    try {
      accessSync(path.join(folder, program), constants.X_OK);
      // A dynamic busybox does not run in an image that has no libc.
      return program !== 'busybox' || !readFileSync(path.join(folder, program)).includes('/lib64/ld-linux');
    } catch {
      return false;
    }
  });
}

function install(packages) {
  console.error(`Installing with apt-get: ${packages.join(' ')}`);
  // Debian starts a service as soon as its package is installed; nobody asked for a registry on port 5000.
  const guarded = !existsSync(serviceGuard);
  if (guarded) writeFileSync(serviceGuard, '#!/bin/sh\nexit 101\n', { mode: 0o755 });
  try {
    apt('update');
    apt('install', '--yes', '--no-install-recommends', ...packages);
  } finally {
    if (guarded) rmSync(serviceGuard);
  }
}

function apt(...args) {
  const { status } = spawnSync('apt-get', ['--quiet', ...args], {
    stdio: ['ignore', 2, 2],
    env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' },
  });
  if (status !== 0) {
    console.error(`kiln: apt-get ${args.join(' ')} failed`);
    process.exit(1);
  }
}

function explain(packages) {
  const mayGoOn = purpose === 'test' && !process.env.CI;
  const command = `apt-get install --no-install-recommends ${packages.join(' ')}`;
  const outcome = mayGoOn ? 'the tests that need them are skipped' : `${purpose} cannot run without them`;
  console.error(`kiln: these packages are not installed, so ${outcome}; as root on Debian: ${command}`);
  if (!mayGoOn) process.exit(1);
}
