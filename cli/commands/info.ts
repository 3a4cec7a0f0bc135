import { readFile } from 'node:fs/promises';
import os from 'node:os';
import { diskUseOf } from '../../core/index.ts';
import {
  describeLimits,
  describePrivilege,
  findOutsideWay,
  type OutsideWay,
  type Privilege,
  thisCgroupSystem,
} from '../../runtime/index.ts';
import { defineCommand } from '../command.ts';
import type { Context } from '../context.ts';
import { exitCodes } from '../exit-codes.ts';
import { cgroupVersion, findTools } from '../machine.ts';
import { printResult, resultFlags } from '../result.ts';
import { formatSize } from '../size.ts';
import { homeOf, openContent } from '../store.ts';
import { harmlessLine } from '../terminal-text.ts';
import { kilnVersion } from '../version.ts';

export const info = defineCommand({
  about: 'What a bug report needs, and what a container here is not protected from.',
  arguments: [],
  flags: {
    ...resultFlags,
  },
  examples: [{ line: 'kiln info', says: 'Which isolation do containers get here?' }],

  async run(context, flags) {
    const found = await readInfo(context);
    printResult(context, flags, found, () => render(found));
    return exitCodes.ok;
  },
});

type Info = Awaited<ReturnType<typeof readInfo>>;

async function readInfo(context: Context) {
  const home = homeOf(context);
  const network = await findOutsideWay();
  const content = await openContent(context);
  const { bytes, complete } = await diskUseOf(home, { signal: context.signal });
  return {
    version: kilnVersion,
    node: process.version,
    kernel: os.release(),
    architecture: process.arch,
    cpus: os.availableParallelism(),
    cgroup: cgroupVersion(await readFile('/proc/mounts', 'utf8')),
    privilege: isolationOf(await describePrivilege(), network),
    network,
    limits: await describeLimits(await thisCgroupSystem()),
    store: { folder: home, bytes, complete, images: (await content.list()).length },
    tools: await findTools(context.env),
  };
}

interface Isolation {
  readonly rung: 'root' | 'subordinate ids' | 'none';
  /** What is missing to build and run here. */
  readonly problems: readonly string[];
  readonly notIsolated: readonly string[];
}

/** What holds on every rung, whatever the ids. */
function neverIsolated(network: OutsideWay): readonly string[] {
  return [
    'the kernel itself',
    network.kind === 'host'
      ? 'the network of build steps, unless --network none, and of containers with --network host'
      : 'the network of build steps and containers with --network host',
    'memory, processors and number of processes, unless a build limits them (--memory, --cpus, --pids-limit)',
  ];
}

/** Says what the rung of the privilege ladder in use does not isolate. */
function isolationOf(privilege: Privilege, network: OutsideWay): Isolation {
  const never = neverIsolated(network);
  switch (privilege.kind) {
    case 'root':
      return {
        rung: 'root',
        problems: [],
        notIsolated: [...never, 'user ids: root in a container is root of this machine, less its capabilities'],
      };
    case 'user-namespace':
      return { rung: 'subordinate ids', problems: [], notIsolated: never };
    case 'unprivileged':
      return {
        rung: privilege.problems.length === 0 ? 'subordinate ids' : 'none',
        problems: privilege.problems,
        notIsolated: privilege.problems.length === 0 ? never : [],
      };
  }
}

function render({
  version,
  node,
  kernel,
  architecture,
  cpus,
  cgroup,
  privilege,
  network,
  limits,
  store,
  tools,
}: Info): string {
  const lines: (readonly [string, string])[] = [
    ['Version', `${version} (node ${node})`],
    ['Kernel', `${kernel} (${architecture}, ${cpus} CPUs)`],
    ['Cgroups', cgroup],
    ['Privilege', privilege.rung],
    ...privilege.problems.map((problem) => ['  missing', problem] as const),
    ...privilege.notIsolated.map((what) => ['  not isolated', what] as const),
    ['Network', networkText(network)],
    ...(['memory', 'cpu', 'pids'] as const).map((name) => [`Limit ${name}`, limits[name] ?? 'yes'] as const),
    ['Store', store.folder],
    ['  size', `${formatSize(store.bytes)}${store.complete ? '' : ' or more: some of it may not be read'}`],
    ['  images', String(store.images)],
    ...tools.map(({ name, use, file }) => [name, file ?? `not found (${use})`] as const),
  ];
  const width = Math.max(...lines.map(([label]) => label.length)) + 2;
  return lines.map(([label, text]) => `${`${label}:`.padEnd(width)}${harmlessLine(text)}\n`).join('');
}

/** What the network `default` of build steps is here. */
function networkText(network: OutsideWay): string {
  switch (network.kind) {
    case 'host':
      return `steps share this machine's: ${network.why}`;
    case 'offline':
      return 'steps have none: this machine has no default route';
    default:
      return `steps have their own, by ${network.file}`;
  }
}
