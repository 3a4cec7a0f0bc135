import { mkdir, readdir, stat, utimes } from 'node:fs/promises';
import path from 'node:path';
import { type CallOptions, digestHex, type Image, removeTree, ToolError } from '../../core/index.ts';
import {
  type ActiveSnapshot,
  defaultPath,
  describeLimitHit,
  runSandbox,
  type SandboxLimits,
  type SandboxMount,
  type Snapshot,
} from '../../runtime/index.ts';
import { OutputTail } from '../engine/output-tail.ts';
import { stepHostname, stepResources } from '../engine/step-resources.ts';
import type { StepNetwork } from '../plan/plan.ts';
import type { Workshop } from '../workshop/workshop.ts';
import { rootLock, rootsFolder } from './package-folders.ts';

/** The root file system that packages are looked up for or installed on, and what its package manager may use. */
export interface PackageSite extends CallOptions {
  readonly workshop: Workshop;
  readonly parent: Snapshot;
  readonly network: StepNetwork;
  readonly proxies: Readonly<Record<string, string>>;
  readonly limits: SandboxLimits;
  readonly onStatus: (text: string) => void;
  readonly onOutput: (stream: 'stdout' | 'stderr', bytes: Buffer) => void;
}

export interface ToolRun {
  readonly argv: readonly string[];
  readonly mounts: readonly SandboxMount[];
  readonly network: StepNetwork;
  readonly cwd?: string;
  /** What the tool changes is kept there; thrown away without it. */
  readonly active?: ActiveSnapshot;
  /** Standard output is an answer for us, and not shown. */
  readonly quiet?: boolean;
}

export interface ToolResult {
  readonly exitCode: number;
  readonly stdout: string;
  /** The last of what it wrote on either stream. */
  readonly tail: Buffer;
}

/** Where a sandbox sees what Kiln gives to the package manager. No trace of it is left in a layer. */
export const insideFolder = '/run/kiln';

/** How much an image's own tools may answer, bytes. */
const maxAnswerBytes = 32 * 1024 * 1024;

/** The same for every user and machine, so that nothing of it reaches a maintainer script. */
const environment = {
  PATH: defaultPath,
  LC_ALL: 'C.UTF-8',
  HOME: '/root',
  TZ: 'UTC',
  DEBIAN_FRONTEND: 'noninteractive',
  DEBCONF_NONINTERACTIVE_SEEN: 'true',
  // Not 0: shadow counts in days, and day 0 of /etc/shadow means that the password must be changed. shadow(5)
  SOURCE_DATE_EPOCH: '86400',
  // The order of sets in what Python compiles.
  PYTHONHASHSEED: '0',
};

/** Runs one of the image's own tools as its root, in a transient container. */
export async function runTool(site: PackageSite, run: ToolRun): Promise<ToolResult> {
  const { workshop, parent, signal } = site;
  await using transient = run.active === undefined ? await (await workshop.snapshots()).prepare(parent) : undefined;
  await using scratch = await (await workshop.scratch()).make('packages');
  const active = run.active ?? transient;
  if (active === undefined) throw new TypeError('a sandbox needs somewhere to write to');
  const answer: Buffer[] = [];
  let answerBytes = 0;
  const tail = new OutputTail();
  const { exitCode, limitHits } = await runSandbox(
    workshop.options.launcher,
    {
      layers: parent.layers.map((layer) => layer.directory),
      writable: { upper: active.upper, work: active.work },
      argv: run.argv,
      env: { ...environment, ...site.proxies },
      cwd: run.cwd ?? '/',
      user: { uid: 0, gid: 0, additionalGids: [] },
      hostname: stepHostname,
      ...stepResources(site, run.network),
      mounts: run.mounts,
      terminal: false,
      volatile: true,
    },
    {
      stdio: 'output',
      onOutput(stream, bytes) {
        tail.add(bytes);
        if (run.quiet !== true || stream === 'stderr') site.onOutput(stream, bytes);
        if (stream === 'stderr') return;
        answerBytes += bytes.length;
        if (answerBytes <= maxAnswerBytes) answer.push(bytes);
      },
    },
    { signal, scratch: scratch.path },
  );
  for (const hit of limitHits) tail.add(Buffer.from(`${describeLimitHit(hit)}\n`));
  if (run.quiet && answerBytes > maxAnswerBytes) {
    throw new ToolError(
      'PACKAGES_FAILED',
      `${run.argv[0]} of the image answered with more than ${maxAnswerBytes} bytes`,
    );
  }
  return { exitCode, stdout: Buffer.concat(answer).toString('utf8'), tail: tail.bytes() };
}

/** The last lines of a tool that failed, for a message. */
export function lastLines(tail: Buffer, count = 10): string[] {
  const lines = tail
    .toString('utf8')
    .split(/[\r\n]+/)
    .filter((line) => line.trim() !== '' && !/^(?:Reading|Building|Hit:|Get:|Ign:|Fetched) ?.*$/.test(line));
  return lines.slice(-count);
}

/** @throws ToolError PACKAGES_NETWORK where there is none */
export function needNetwork(site: PackageSite, why: string): void {
  if (site.network !== 'none') return;
  throw new ToolError('PACKAGES_NETWORK', `${why}, and the build has no network`, {
    hint: 'build once with a network; what was fetched is kept',
  });
}

export interface RootFolder extends AsyncDisposable {
  readonly path: string;
  /** It was not there: whatever the build has seen before is gone. */
  readonly isNew: boolean;
}

/** Roots that have a folder for their package manager's indexes; the least recently used goes first. */
const maxRoots = 6;

/**
 * The folder that the package manager of this very root keeps its indexes in, held alone. What a tool of an image
 * wrote is trusted by the same image only, so no other root shares it.
 */
export async function rootFolder(site: PackageSite): Promise<RootFolder> {
  const { workshop, parent } = site;
  const name = parent.chainId === undefined ? 'scratch' : digestHex(parent.chainId);
  const roots = path.join(workshop.options.home, rootsFolder);
  const folder = path.join(roots, name);
  const lock = await workshop.locks.acquire(rootLock(name), 'exclusive', site);
  let isNew = false;
  try {
    isNew = (await mkdir(folder, { recursive: true, mode: 0o700 })) !== undefined;
    const now = workshop.options.clock.now() / 1000;
    await utimes(folder, now, now);
  } catch (error) {
    await lock[Symbol.asyncDispose]();
    throw error;
  }
  return {
    path: folder,
    isNew,
    async [Symbol.asyncDispose]() {
      await lock[Symbol.asyncDispose]();
      await removeOldest(workshop, roots);
    },
  };
}

async function removeOldest(workshop: Workshop, roots: string): Promise<void> {
  const names = await readdir(roots);
  if (names.length <= maxRoots) return;
  const times = await Promise.all(
    names.map(async (name) => ({
      name,
      mtimeMs: (await stat(path.join(roots, name)).catch(() => undefined))?.mtimeMs ?? 0,
    })),
  );
  const old = times.sort((a, b) => a.mtimeMs - b.mtimeMs).slice(0, names.length - maxRoots);
  for (const { name } of old) {
    await using lock = await workshop.locks.tryAcquire(rootLock(name), 'exclusive');
    if (lock === undefined) continue;
    await removeTree(path.join(roots, name));
    workshop.locks.forget(rootLock(name));
  }
}

/** Opens the site for layers, lowest first. */
export async function openSite(layers: Image['layers'], parts: Omit<PackageSite, 'parent'>): Promise<PackageSite> {
  return { ...parts, parent: await parts.workshop.snapshotOf(layers, parts) };
}
