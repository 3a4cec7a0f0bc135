import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { output, serve, timed } from './shell.ts';
import type { Command, Tool } from './tool.ts';

export const toolNames = ['kiln', 'buildah', 'podman', 'docker'] as const;
export type ToolName = (typeof toolNames)[number];

const runTrue = ['run', '--rm', '--network', 'none'] as const;

/** The tool with its data below `folder`; undefined when it is not installed or cannot run here. */
export async function openTool(name: ToolName, folder: string): Promise<Tool | undefined> {
  mkdirSync(folder, { recursive: true });
  switch (name) {
    case 'kiln':
      return openKiln(folder);
    case 'buildah':
    case 'podman':
      return openContainersTool(name, folder);
    case 'docker':
      return openDocker(folder);
  }
}

async function openKiln(folder: string): Promise<Tool> {
  const program = path.join(path.dirname(import.meta.dirname), 'bin', 'kiln');
  let pulls = 0;
  const command = (store: string, ...args: readonly string[]): Command => ({
    argv: [program, ...args],
    env: { KILN_HOME: path.join(folder, store) },
  });
  return {
    name: 'kiln',
    version: (await output(program, 'version')) ?? 'unknown',
    build: (context, image, { cache }) =>
      command('store', 'build', '--quiet', ...(cache ? [] : ['--no-cache']), '-t', image, context),
    push: (image) => command('store', 'push', image),
    pullAndRun: async (image) => {
      const store = `pulled-${pulls++}`;
      return [command(store, 'pull', image), command(store, ...runTrue, image, '/bin/true')];
    },
    runTrue: (image) => command('store', ...runTrue, image, '/bin/true'),
    [Symbol.asyncDispose]: async () => undefined,
  };
}

/** buildah and podman share their storage's options and most of their words. */
async function openContainersTool(name: 'buildah' | 'podman', folder: string): Promise<Tool | undefined> {
  const version = await output(name, '--version');
  if (version === undefined) return undefined;
  const conf = path.join(folder, 'containers.conf');
  writeFileSync(conf, containersConf);
  const env = { CONTAINERS_CONF: conf };
  const isPodman = name === 'podman';
  let pulls = 0;
  const command = (storage: string, ...args: readonly string[]): Command => {
    const roots = ['--root', path.join(folder, storage), '--runroot', path.join(folder, `${storage}-run`)];
    return { argv: [name, ...roots, '--storage-driver', 'overlay', ...args], env };
  };
  const insecure = '--tls-verify=false';
  return {
    name,
    version,
    build: (context, image, { cache }) => {
      const options = ['-q', '--layers', ...(cache ? [] : ['--no-cache']), insecure, '--network', 'host'];
      return command('s', 'build', ...options, '-t', image, context);
    },
    push: (image) => command('s', 'push', '-q', insecure, image),
    pullAndRun: async (image) => {
      const storage = `p${pulls++}`;
      const pull = command(storage, 'pull', '-q', insecure, image);
      return isPodman ? [pull, command(storage, ...runTrue, image, '/bin/true')] : undefined;
    },
    runTrue: (image) => (isPodman ? command('s', ...runTrue, image, '/bin/true') : undefined),
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
`;

/** A daemon of its own, which leaves the machine's bridges and firewall alone. */
async function openDocker(folder: string): Promise<Tool | undefined> {
  const version = await output('docker', '--version');
  if (version === undefined || (await output('dockerd', '--version')) === undefined) return undefined;
  if (process.getuid?.() !== 0) return undefined;
  const socket = path.join(folder, 'docker.sock');
  const paths = ['--data-root', path.join(folder, 'data'), '--exec-root', path.join(folder, 'exec')];
  const own = ['--pidfile', path.join(folder, 'docker.pid'), '--bridge=none', '--iptables=false', '--ip6tables=false'];
  const daemon = serve(['dockerd', '--host', `unix://${socket}`, ...paths, ...own]);
  const hasBuildKit = (await output('docker', 'buildx', 'version')) !== undefined;
  const env = { DOCKER_HOST: `unix://${socket}`, DOCKER_BUILDKIT: hasBuildKit ? '1' : '0' };
  const command = (...args: readonly string[]): Command => ({ argv: ['docker', ...args], env });
  if (!(await isReady(socket, command('version')))) {
    await daemon[Symbol.asyncDispose]();
    return undefined;
  }
  return {
    name: 'docker',
    version: `${version}, ${hasBuildKit ? 'BuildKit' : 'without BuildKit'}`,
    build: (context, image, { cache }) =>
      command('build', '-q', ...(cache ? [] : ['--no-cache']), '--network', 'host', '-t', image, context),
    push: (image) => command('push', '-q', image),
    pullAndRun: async (image) => {
      await timed(command('rmi', '-f', image)).catch(() => 0);
      await timed(command('system', 'prune', '-af'));
      return [command('pull', '-q', image), command(...runTrue, image, '/bin/true')];
    },
    runTrue: (image) => command(...runTrue, image, '/bin/true'),
    [Symbol.asyncDispose]: () => daemon[Symbol.asyncDispose](),
  };
}

async function isReady(socket: string, probe: Command): Promise<boolean> {
  for (let tries = 0; tries < 100; tries++) {
    if (existsSync(socket) && (await timed(probe).catch(() => undefined)) !== undefined) return true;
    await delay(200);
  }
  return false;
}
