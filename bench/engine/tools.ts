import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { findProgram } from '../../test/requirements.ts';
import { writeBaseProject } from '../project.ts';
import { output, timed } from '../shell.ts';
import type { Command } from '../tool.ts';
import type { Registry, Workspace } from '../workspace.ts';
import { processTreeCpuMs } from './usage.ts';

export interface BuildArguments {
  readonly context: string;
  readonly image: string;
  readonly cache: boolean;
  readonly network: 'host' | 'default';
}

/** A builder, as this benchmark needs it. */
export interface EngineTool extends AsyncDisposable {
  readonly name: 'kiln' | 'docker' | 'buildah' | 'podman';
  readonly version: string;
  build(request: BuildArguments): Command;
  /** Forgets all that earlier builds left, but the bases. Not timed. */
  forget(): Promise<void>;
  /** Processor time that its daemon has used. */
  daemonCpuMs(): number;
}

/** The base of most workloads, and the one of those that install packages. */
export const bases = { busybox: 'base:1', debian: 'debian:1' } as const;

export async function openEngineTools(
  workspace: Workspace,
  registry: Registry,
  only: readonly string[] | undefined,
): Promise<AsyncDisposable & { readonly list: readonly EngineTool[] }> {
  await pushBases(workspace, registry);
  const openers = { kiln: openKiln, docker: openDocker, buildah: openContainers, podman: openContainers };
  await using stack = new AsyncDisposableStack();
  const list: EngineTool[] = [];
  for (const name of ['kiln', 'docker', 'buildah', 'podman'] as const) {
    if (only !== undefined && !only.includes(name)) continue;
    const folder = path.join(workspace.folder, name);
    mkdirSync(folder);
    const tool = await openers[name](folder, name, registry);
    if (tool === undefined) console.error(`${name} is not installed, or cannot run here: left out`);
    else list.push(stack.use(tool));
  }
  const all = stack.move();
  return { list, [Symbol.asyncDispose]: () => all.disposeAsync() };
}

const kilnProgram = path.join(path.dirname(path.dirname(import.meta.dirname)), 'bin', 'kiln');

function kilnCommand(home: string, ...args: readonly string[]): Command {
  return { argv: [kilnProgram, ...args], env: { KILN_HOME: home, CI: '' } };
}

async function pushBases(workspace: Workspace, registry: Registry): Promise<void> {
  const busybox = findProgram('busybox');
  if (busybox === undefined) throw new Error('busybox is missing (Debian: apt-get install busybox-static)');
  const home = path.join(workspace.folder, 'base-store');
  const folders = { busybox: path.join(workspace.folder, 'base'), debian: path.join(workspace.folder, 'debian') };
  writeBaseProject(folders.busybox, busybox);
  mkdirSync(folders.debian);
  writeFileSync(path.join(folders.debian, 'Buildfile'), 'from = "bootstrap:debian/bookworm"\n');
  for (const name of ['busybox', 'debian'] as const) {
    const image = `${registry.host}/${bases[name]}`;
    await timed(kilnCommand(home, 'build', '--no-lock', '-q', '--push', '-t', image, folders[name]));
  }
}

async function openKiln(folder: string, _name: string, registry: Registry): Promise<EngineTool> {
  const home = path.join(folder, 'store');
  const pull = async () => {
    for (const image of Object.values(bases)) await timed(kilnCommand(home, 'pull', '-q', `${registry.host}/${image}`));
  };
  await pull();
  return {
    name: 'kiln',
    version: (await output(kilnProgram, 'version')) ?? 'unknown',
    build: ({ context, image, cache, network }) =>
      kilnCommand(
        home,
        'build',
        '--no-lock',
        '-q',
        ...(cache ? [] : ['--no-cache']),
        '--network',
        network,
        '-t',
        image,
        context,
      ),
    async forget() {
      for (const kind of ['contexts-v2', 'selections-v1']) {
        rmSync(path.join(home, 'records', kind), { recursive: true, force: true });
      }
      await timed(kilnCommand(home, 'prune', '--all', '--json'));
      // The peers keep bases unpacked.
      for (const image of Object.values(bases))
        await timed(kilnCommand(home, 'run', '--rm', `${registry.host}/${image}`, '/bin/true'));
    },
    daemonCpuMs: () => 0,
    [Symbol.asyncDispose]: async () => undefined,
  };
}

/** Raising limits, or a systemd for cgroups, is more than every machine grants. */
const containersConf = `[containers]
default_ulimits = ["nofile=20000:20000", "nproc=32768:32768"]
[engine]
cgroup_manager = "cgroupfs"
events_logger = "file"
runtime = "runc"
[network]
network_backend = "netavark"
`;

async function openContainers(folder: string, name: string, registry: Registry): Promise<EngineTool | undefined> {
  const version = await output(name, '--version');
  if (version === undefined || (name !== 'buildah' && name !== 'podman')) return undefined;
  const conf = path.join(folder, 'containers.conf');
  writeFileSync(conf, containersConf);
  const roots = ['--root', path.join(folder, 'root'), '--runroot', path.join(folder, 'runroot')];
  const command = (...args: readonly string[]): Command => ({
    argv: [name, ...roots, '--storage-driver', 'overlay', ...args],
    env: { CONTAINERS_CONF: conf },
  });
  for (const image of Object.values(bases))
    await timed(command('pull', '-q', '--tls-verify=false', `${registry.host}/${image}`));
  return {
    name,
    version,
    build: ({ context, image, cache, network }) =>
      command(
        ...['build', '-q', '--layers', '--jobs', '4', '--tls-verify=false', ...(cache ? [] : ['--no-cache'])],
        ...(network === 'host' ? ['--network', 'host'] : []),
        ...['-t', image, context],
      ),
    forget: async () => undefined,
    daemonCpuMs: () => 0,
    [Symbol.asyncDispose]: async () => undefined,
  };
}

/** Debian's own client, which brings BuildKit; one installed beside it may need a plugin that Debian 12 does not have. */
const dockerClient = '/usr/bin/docker';

/** A daemon of its own; its bridge and its firewall rules are in the machine's network while it runs. */
async function openDocker(folder: string, _name: string, registry: Registry): Promise<EngineTool | undefined> {
  const version = await output(dockerClient, '--version');
  if (version === undefined || process.getuid?.() !== 0 || (await output('dockerd', '--version')) === undefined)
    return undefined;
  const socket = path.join(folder, 'docker.sock');
  const paths = ['--data-root', path.join(folder, 'data'), '--exec-root', path.join(folder, 'exec')];
  const daemon = spawn(
    'dockerd',
    ['--host', `unix://${socket}`, ...paths, '--pidfile', path.join(folder, 'docker.pid')],
    {
      stdio: 'ignore',
    },
  );
  const command = (...args: readonly string[]): Command => ({
    argv: [dockerClient, ...args],
    env: { DOCKER_HOST: `unix://${socket}`, DOCKER_BUILDKIT: '1', DOCKER_CONFIG: folder },
  });
  for (let tries = 0; tries < 150; tries++) {
    if (existsSync(socket) && (await timed(command('version')).catch(() => undefined)) !== undefined) break;
    await delay(200);
  }
  for (const image of Object.values(bases)) await timed(command('pull', '-q', `${registry.host}/${image}`));
  return {
    name: 'docker',
    version: `${version}, BuildKit`,
    build: ({ context, image, cache, network }) =>
      command(
        'build',
        '-q',
        ...(cache ? [] : ['--no-cache']),
        ...(network === 'host' ? ['--network', 'host'] : []),
        '-t',
        image,
        context,
      ),
    // Without this, a context that was sent before is not sent again.
    forget: async () => void (await timed(command('builder', 'prune', '-af'))),
    daemonCpuMs: () => processTreeCpuMs(daemon.pid ?? 0),
    async [Symbol.asyncDispose]() {
      const ended = once(daemon, 'exit');
      if (daemon.exitCode === null) daemon.kill('SIGTERM');
      await ended;
      await removeBridge();
    },
  };
}

/** dockerd leaves its bridge behind. */
async function removeBridge(): Promise<void> {
  const others = readFileSync('/proc/net/dev', 'utf8').includes('veth');
  if (!others) await output('ip', 'link', 'delete', 'docker0');
}
