import { spawnSync } from 'node:child_process';
import { accessSync, constants, existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir, userInfo } from 'node:os';
import path from 'node:path';

/**
 * Real components that some tests need. A test asks with `describe.skipIf(missing('docker-registry', 'root'))`: where
 * one is absent the test is skipped and the reason printed, but with `CI` set the test file fails.
 */
export type Requirement =
  | 'apt'
  | 'buildah'
  | 'busybox'
  | 'cc'
  | 'crun'
  | 'docker-registry'
  | 'mmdebstrap'
  | 'openssl'
  | 'overlay'
  | 'pasta'
  | 'podman'
  | 'root'
  | 'runc'
  | 'setcap'
  | 'skopeo'
  | 'subids'
  | 'umoci'
  | 'unprivileged-user'
  | 'user-namespace';

const checks: Readonly<Record<Requirement, () => string | undefined>> = {
  apt: () => program('apt-get', 'apt'),
  buildah: () => program('buildah', 'buildah'),
  busybox: staticBusybox,
  cc: () => program('cc', 'gcc libc6-dev'),
  crun: () => program('crun', 'crun'),
  'docker-registry': () => program('docker-registry', 'docker-registry'),
  mmdebstrap: () => program('mmdebstrap', 'mmdebstrap'),
  openssl: () => program('openssl', 'openssl'),
  overlay: overlayMount,
  pasta: () => program('pasta', 'passt') ?? tunDevice(),
  podman: () => program('podman', 'podman'),
  root: () => (isRoot() ? undefined : 'these tests run as root only'),
  runc: () => program('runc', 'runc'),
  setcap: () => program('setcap', 'libcap2-bin'),
  skopeo: () => program('skopeo', 'skopeo'),
  subids: subordinateIds,
  umoci: () => program('umoci', 'umoci'),
  'unprivileged-user': unprivilegedUser,
  'user-namespace': userNamespace,
};

const answers = new Map<Requirement, string | undefined>();
const announced = new Set<string>();

/** Why `name` is not available here, in one sentence; undefined when it is. Asked of the system once. */
export function requirement(name: Requirement): string | undefined {
  if (!answers.has(name)) answers.set(name, checks[name]());
  return answers.get(name);
}

/**
 * True when any of `names` is absent, for `skipIf`.
 * @throws Error instead, when `CI` is set: there nothing may be skipped
 */
export function missing(...names: readonly Requirement[]): boolean {
  return mustSkip(names.map(requirement).filter((reason) => reason !== undefined));
}

/** True when there are reasons to skip; each is printed once. @throws Error when `CI` is set */
export function mustSkip(reasons: readonly string[]): boolean {
  if (reasons.length === 0) return false;
  const text = reasons.join('; ');
  if (isContinuousIntegration()) throw new Error(`CI must run every test, but ${text}`);
  if (!announced.has(text)) process.stderr.write(`skipped: ${text}\n`);
  announced.add(text);
  return true;
}

export function isRoot(): boolean {
  return process.getuid?.() === 0;
}

/** Full path of a program on PATH or in the system folders that an ordinary user's PATH leaves out. */
export function findProgram(name: string): string | undefined {
  const folders = [...(process.env.PATH ?? '').split(':'), '/usr/local/sbin', '/usr/sbin', '/sbin'];
  return folders
    .filter((folder) => folder.startsWith('/'))
    .map((folder) => path.join(folder, name))
    .find(isExecutable);
}

/** True when /etc/subuid and /etc/subgid give `user` at least 65536 ids each. */
export function hasSubordinateIds(user: string, uid: number): boolean {
  return ['/etc/subuid', '/etc/subgid'].every((file) => {
    if (!existsSync(file)) return false;
    const lines = readFileSync(file, 'utf8').split('\n');
    const counts = lines.map((line) => line.split(':')).filter(([who]) => who === user || who === String(uid));
    return counts.some(([, , count]) => Number(count) >= 65_536);
  });
}

function isContinuousIntegration(): boolean {
  const value = process.env.CI;
  return value !== undefined && value !== '' && value !== 'false' && value !== '0';
}

function isExecutable(file: string): boolean {
  try {
    accessSync(file, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

function program(name: string, packages: string): string | undefined {
  return findProgram(name) === undefined ? `${name} is not installed (Debian: apt-get install ${packages})` : undefined;
}

function staticBusybox(): string | undefined {
  const found = findProgram('busybox');
  const interpreter = Buffer.from('/lib64/ld-linux');
  const isStatic = found !== undefined && !readFileSync(found).subarray(0, 4096).includes(interpreter);
  return isStatic ? undefined : 'a static busybox is not installed (Debian: apt-get install busybox-static)';
}

function subordinateIds(): string | undefined {
  const tools = program('newuidmap', 'uidmap') ?? program('newgidmap', 'uidmap');
  if (tools !== undefined || isRoot()) return tools;
  const { username, uid } = userInfo();
  if (hasSubordinateIds(username, uid)) return undefined;
  return `${username} has no subordinate ids in /etc/subuid and /etc/subgid (usermod --add-subuids)`;
}

/** As root one is made (`unprivilegedUser()`); otherwise it is the user who runs the tests. */
function unprivilegedUser(): string | undefined {
  const tools = subordinateIds();
  if (tools !== undefined || !isRoot()) return tools ?? userNamespace();
  return program('useradd', 'passwd') ?? program('setpriv', 'util-linux') ?? userNamespace();
}

function tunDevice(): string | undefined {
  return existsSync('/dev/net/tun') ? undefined : 'there is no /dev/net/tun (modprobe tun)';
}

function userNamespace(): string | undefined {
  const made = spawnSync('unshare', ['--user', '--map-root-user', 'true'], { stdio: 'ignore' });
  return made.status === 0 ? undefined : 'user namespaces cannot be made here';
}

/** Tries a mount on the folder the tests write to: an overlay cannot lie on another overlay, nor on some tmpfs. */
function overlayMount(): string | undefined {
  const folder = mkdtempSync(path.join(tmpdir(), 'overlay-'));
  try {
    const script = 'cd "$0" && mkdir l u w m && mount -t overlay -o lowerdir=l,upperdir=u,workdir=w$1 none m';
    const namespaces = isRoot() ? ['--mount'] : ['--user', '--map-root-user', '--mount'];
    const options = isRoot() ? '' : ',userxattr';
    const made = spawnSync('unshare', [...namespaces, 'sh', '-c', script, folder, options], { stdio: 'ignore' });
    return made.status === 0 ? undefined : `overlay mounts do not work in ${tmpdir()}`;
  } finally {
    // The kernel leaves a folder of mode 000 in the work folder.
    spawnSync('chmod', ['-R', 'u+rwx', folder]);
    rmSync(folder, { recursive: true, force: true });
  }
}
