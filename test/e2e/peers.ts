import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import type { Account } from '../account.ts';
import { findProgram } from '../requirements.ts';

/** The other tools that must accept what kiln pushed. Each leaves what it makes in the account's home. */

export interface SkopeoInspection {
  readonly Digest: string;
  readonly Architecture: string;
  readonly Os: string;
  readonly Labels: Readonly<Record<string, string>> | null;
  readonly Layers: readonly string[];
}

export async function skopeoInspect(account: Account, image: string): Promise<SkopeoInspection> {
  return JSON.parse(await output(account, ['skopeo', 'inspect', '--tls-verify=false', image]));
}

/** Copies the image from its registry and unpacks it; gives the root file system's folder. */
export async function unpackWithUmoci(account: Account, image: string): Promise<string> {
  const layout = path.join(account.home, 'layout');
  const bundle = path.join(account.home, 'bundle');
  const rootless = account.kind === 'root' ? [] : ['--rootless'];
  const policy = ['--insecure-policy', '--src-tls-verify=false'];
  await output(account, ['skopeo', 'copy', '--quiet', ...policy, `docker://${image}`, `oci:${layout}:image`]);
  await output(account, ['umoci', 'unpack', ...rootless, '--image', `${layout}:image`, bundle]);
  return path.join(bundle, 'rootfs');
}

/** Standard output of a command in a container of buildah's, which needs no daemon and no network of its own. */
export async function runWithBuildah(account: Account, image: string, argv: readonly string[]): Promise<string> {
  const storage = ['--root', path.join(account.home, 'storage'), '--runroot', path.join(account.home, 'runroot')];
  const buildah = ['buildah', ...storage, '--storage-driver', 'vfs'];
  const container = (await output(account, [...buildah, 'from', '--quiet', '--tls-verify=false', image])).trim();
  try {
    return await output(account, [...buildah, 'run', '--isolation', 'chroot', container, '--', ...argv]);
  } finally {
    await output(account, [...buildah, 'rm', container]);
  }
}

/** Podman of an ordinary user, without a daemon, with a storage of its own. */
export interface Podman extends AsyncDisposable {
  /** Standard output of a container in the foreground, of an image that is pulled when it is not there. */
  run(image: string, args?: readonly string[]): Promise<string>;
  /** Standard output of any other of its commands. */
  call(...args: readonly string[]): Promise<string>;
  /** Pushes an image of its storage, under another name. */
  push(image: string, target: string): Promise<void>;
  /** Starts a container on the machine's network, in the background. */
  serve(image: string, variables: Readonly<Record<string, string>>): Promise<PodmanContainer>;
}

export interface PodmanContainer {
  /** Asks it to end, with the image's stop signal, and removes it; gives its exit status. */
  stop(): Promise<number>;
}

/** As root it would write into the machine's own /run. Disposing ends all that it left running. */
export function openPodman(account: Account): Podman {
  if (account.kind === 'root') throw new TypeError('podman is for an ordinary user');
  const configuration = path.join(account.home, 'containers.conf');
  writeFileSync(configuration, podmanConfiguration());
  // It refuses names of more than 50 bytes for the second one.
  const storage = ['--root', path.join(account.home, 'podman'), '--runroot', path.join(account.home, 'r')];
  const podman = ['podman', ...storage, '--storage-driver', 'overlay'];
  const call = (args: readonly string[]): Promise<string> =>
    output(account, [...podman, ...args], { CONTAINERS_CONF: configuration });
  return {
    call: (...args) => call(args),
    run: (image, args = []) => call(['run', '--rm', '--quiet', '--tls-verify=false', image, ...args]),
    async push(image, target) {
      await call(['push', '--quiet', '--tls-verify=false', image, `docker://${target}`]);
    },
    async serve(image, variables) {
      const flags = Object.entries(variables).flatMap(([name, value]) => ['--env', `${name}=${value}`]);
      const started = ['run', '--detach', '--quiet', '--tls-verify=false', '--network', 'host', ...flags, image];
      const id = (await call(started)).trim();
      return {
        async stop() {
          await call(['stop', '--time', '10', id]);
          const status = Number(await call(['inspect', '--format', '{{.State.ExitCode}}', id]));
          await call(['rm', '--force', '--time', '0', id]);
          return status;
        },
      };
    },
    async [Symbol.asyncDispose]() {
      await call(['rm', '--all', '--force', '--time', '0']);
      // It keeps the namespaces of a user's containers alive for the next command.
      const holder = path.join(account.home, 'run', 'libpod', 'tmp', 'pause.pid');
      if (existsSync(holder)) process.kill(Number(readFileSync(holder, 'utf8')), 'SIGKILL');
    },
  };
}

/** Without systemd, and where nobody may raise limits. */
function podmanConfiguration(): string {
  const runtime = findProgram('runc') === undefined ? 'crun' : 'runc';
  return `[containers]
default_ulimits = ["nofile=1024:1024", "nproc=4096:4096"]
[engine]
cgroup_manager = "cgroupfs"
events_logger = "file"
runtime = "${runtime}"
`;
}

async function output(
  account: Account,
  argv: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Promise<string> {
  const { status, stdout, stderr } = await account.run(argv, { env });
  if (status === 0) return stdout;
  throw new Error(`${argv.join(' ')} ended with ${status}: ${stderr}`);
}
