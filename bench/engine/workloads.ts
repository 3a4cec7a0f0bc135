import { closeSync, ftruncateSync, mkdirSync, openSync, writeFileSync, writeSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { Registry, Workspace } from '../workspace.ts';
import { bases, type EngineTool } from './tools.ts';
import { type Usage, usageOf } from './usage.ts';

interface Place {
  readonly workspace: Workspace;
  readonly registry: Registry;
}

/** Measures one tool once; undefined when it cannot. `run` counts from 0 and tells contents of runs apart. */
type Measure = (tool: EngineTool, run: number) => Promise<Usage | undefined>;

/** One line of the table: what is prepared once, then measured with each tool. */
export interface Workload {
  /** For the command line. */
  readonly id: string;
  readonly name: string;
  prepare(place: Place): Promise<Measure> | Measure;
}

const manyFiles = 20_000;
const steps = 10;

/** A folder with the same build as Dockerfile and Buildfile. */
function project(place: Place, name: string, dockerfile: readonly string[], buildfile: string): string {
  const folder = path.join(place.workspace.folder, name);
  mkdirSync(folder, { recursive: true });
  writeFileSync(path.join(folder, 'Dockerfile'), `${dockerfile.join('\n')}\n`);
  writeFileSync(path.join(folder, 'Buildfile'), buildfile);
  // They would be part of what is copied.
  writeFileSync(path.join(folder, '.dockerignore'), 'Dockerfile\nBuildfile\n.dockerignore\n');
  return folder;
}

function build(tool: EngineTool, context: string, options: { cache: boolean; network?: 'host' | 'default' }) {
  const request = { context, image: `bench-${path.basename(context)}:1`, network: 'host' as const, ...options };
  return usageOf(tool.build(request), () => tool.daemonCpuMs());
}

/** A build of `count` commands that nobody has seen. */
function runSteps(place: Place, name: string, count: number, salt: string): string {
  const from = `${place.registry.host}/${bases.busybox}`;
  const commands = Array.from({ length: count }, (_, index) => `: ${salt} ${index}`);
  return project(
    place,
    name,
    [`FROM ${from}`, ...commands.map((command) => `RUN ${command}`)],
    `from = "${from}"\nsteps = [\n${commands.map((command) => `  { run = "${command}" },\n`).join('')}]\n`,
  );
}

let salts = 0;

/** What one more step costs: the difference of long and short, shared among the steps between them. */
async function costOfStep(place: Place, tool: EngineTool, network: 'host' | 'default'): Promise<Usage> {
  const salt = `${tool.name} ${salts++}`;
  const short = await build(tool, runSteps(place, 'short', 1, `short ${salt}`), { cache: true, network });
  const long = await build(tool, runSteps(place, 'long', 1 + steps, `long ${salt}`), { cache: true, network });
  return {
    wallMs: (long.wallMs - short.wallMs) / steps,
    cpuMs: (long.cpuMs - short.cpuMs) / steps,
    peakBytes: long.peakBytes,
  };
}

function copyAll(place: Place, name: string): string {
  const from = `${place.registry.host}/${bases.busybox}`;
  return project(
    place,
    name,
    [`FROM ${from}`, 'COPY . /data/'],
    `from = "${from}"\nsteps = [{ copy = ".", to = "/data/" }]\n`,
  );
}

/** 20,000 files of 1 to 8 KiB in 200 folders, 81 MB. */
export function writeManyFiles(folder: string): void {
  for (let at = 0; at < manyFiles; at++) {
    if (at < 200) mkdirSync(path.join(folder, `folder-${at}`), { recursive: true });
    writeFileSync(
      path.join(folder, `folder-${at % 200}`, `${at}.txt`),
      `${at}\n`.padEnd(1024 + ((at * 7919) % 6144), 'x'),
    );
  }
}

function writeBigFile(file: string): void {
  const fd = openSync(file, 'w');
  const block = Buffer.alloc(1 << 20);
  for (let at = 0; at < 1024; at++) {
    for (let offset = 0; offset < block.length; offset += 8) block.writeDoubleLE(at * 1e9 + offset, offset);
    writeSync(fd, block);
  }
  ftruncateSync(fd, 1 << 30);
  closeSync(fd);
}

export const workloads: readonly Workload[] = [
  {
    id: 'no-op',
    name: 'no-op of 10 steps',
    prepare(place) {
      const context = runSteps(place, 'no-op', steps, 'no-op');
      return async (tool) => {
        await build(tool, context, { cache: true });
        // Nobody builds twice within a second; and Kiln does not rely on the times of files so young.
        await delay(2_500);
        await build(tool, context, { cache: true });
        return build(tool, context, { cache: true });
      };
    },
  },
  {
    id: 'run-step',
    name: 'one more run step, host network',
    prepare: (place) => (tool) => costOfStep(place, tool, 'host'),
  },
  {
    id: 'network',
    name: 'what the default network adds to a step',
    prepare: (place) => async (tool) => {
      const [own, host] = [
        await costOfStep(place, tool, 'default'),
        await costOfStep(place, tool, 'host').catch(() => undefined),
      ];
      if (host === undefined) return undefined;
      return { wallMs: own.wallMs - host.wallMs, cpuMs: own.cpuMs - host.cpuMs, peakBytes: own.peakBytes };
    },
  },
  {
    id: 'copy-cold',
    name: 'copy of 20,000 files, cold',
    prepare(place) {
      const context = copyAll(place, 'many');
      writeManyFiles(context);
      return async (tool) => {
        await tool.forget();
        return build(tool, context, { cache: false });
      };
    },
  },
  {
    id: 'copy-one',
    name: 'copy of 20,000 files, one changed',
    prepare(place) {
      const context = copyAll(place, 'many-changed');
      writeManyFiles(context);
      return async (tool, run) => {
        await build(tool, context, { cache: true });
        writeFileSync(path.join(context, 'folder-7', '7.txt'), `changed ${tool.name} ${run}\n`);
        return build(tool, context, { cache: true });
      };
    },
  },
  {
    id: 'copy-none',
    name: 'copy of 20,000 files, none changed',
    prepare(place) {
      const context = copyAll(place, 'many-same');
      writeManyFiles(context);
      return async (tool) => {
        await build(tool, context, { cache: true });
        return build(tool, context, { cache: true });
      };
    },
  },
  {
    id: 'big-file',
    name: 'copy of a file of 1 GiB',
    prepare(place) {
      const context = copyAll(place, 'big');
      writeBigFile(path.join(context, 'big'));
      return async (tool) => {
        await tool.forget();
        return build(tool, context, { cache: false });
      };
    },
  },
  {
    id: 'stages',
    name: 'four stages of sleep 2',
    prepare(place) {
      const from = `${place.registry.host}/${bases.busybox}`;
      return (tool, run) => {
        const names = ['a', 'b', 'c', 'd'];
        const command = (name: string) => `sleep 2; echo ${tool.name} ${run} > /${name}`;
        const dockerfile = names.flatMap((name) => [`FROM ${from} AS ${name}`, `RUN ${command(name)}`]);
        const stages = names.map(
          (name) => `[stages.${name}]\nfrom = "${from}"\nsteps = [{ run = "${command(name)}" }]\n`,
        );
        const context = project(
          place,
          'stages',
          [...dockerfile, 'FROM scratch', ...names.map((name) => `COPY --from=${name} /${name} /${name}`)],
          `${stages.join('')}[stages.all]\nfrom = "scratch"\nsteps = [\n${names.map((name) => `  { copy = "/${name}", from = "${name}", to = "/${name}" },\n`).join('')}]\n`,
        );
        return build(tool, context, { cache: true });
      };
    },
  },
  {
    id: 'apt',
    name: 'apt installs nginx',
    prepare(place) {
      const from = `${place.registry.host}/${bases.debian}`;
      const install =
        'apt-get update && apt-get install -y --no-install-recommends nginx-light && rm -rf /var/lib/apt/lists/*';
      const context = project(
        place,
        'nginx',
        [`FROM ${from}`, `RUN ${install}`],
        `from = "${from}"\nsteps = [{ packages = ["nginx-light"] }]\n`,
      );
      return async (tool) => {
        await tool.forget();
        return build(tool, context, { cache: false });
      };
    },
  },
];
