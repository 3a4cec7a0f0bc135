import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import {
  type BuildEvent,
  type BuildOptions,
  type BuildResult,
  type BuiltTarget,
  buildImages,
  noPins,
  type PlanOptions,
  parseIgnoreFile,
  planBuildfile,
  Workshop,
} from '../builder/index.ts';
import { type Clock, type Image, openImage, parseReference, platformOf } from '../core/index.ts';
import { addBase } from '../fixtures/bases/base-layout.ts';
import { busyboxBase } from '../fixtures/bases/busybox-base.ts';
import { openCredentials } from '../registry/index.ts';
import { openLauncher } from '../runtime/index.ts';

const platform = platformOf(process.arch);

/** A store of its own with a `busybox` image in it, and a context folder; both gone when disposed. */
export interface TestWorkshop extends AsyncDisposable {
  readonly workshop: Workshop;
  readonly home: string;
  readonly context: string;
  /** Puts files into the context; keys are paths. */
  put(files: Readonly<Record<string, string>>): Promise<void>;
  /** Builds a Buildfile's text; events collect in `events`. */
  build(buildfile: string, options?: TestBuildOptions): Promise<TestBuild>;
}

export interface TestBuildOptions extends Partial<BuildOptions> {
  readonly target?: string;
  readonly args?: Readonly<Record<string, string>>;
  readonly contexts?: PlanOptions['contexts'];
}

export interface TestBuild extends BuildResult, BuiltTarget {
  readonly image: Image;
  readonly events: readonly BuildEvent[];
  /** Titles of steps that ran and of those that were cached. */
  readonly ran: readonly string[];
  readonly cached: readonly string[];
}

export async function openTestWorkshop(options: { readonly clock?: Clock } = {}): Promise<TestWorkshop> {
  const folder = await mkdtemp(path.join(tmpdir(), 'kiln-workshop-'));
  const [home, context] = [path.join(folder, 'home'), path.join(folder, 'context')];
  await mkdir(context);
  const workshop = await Workshop.open({
    home,
    launcher: await openLauncher(),
    credentials: await openCredentials({ files: [] }),
    clock: options.clock ?? { now: () => Date.now() },
    platform,
    userXattrs: process.getuid?.() === 0 ? !(await isInitialNamespace()) : true,
    bootId: (await readFile('/proc/sys/kernel/random/boot_id', 'utf8')).trim(),
    onWarning: () => {},
  });
  await addBase(workshop.content, 'docker.io/library/busybox:latest', busyboxBase());
  return {
    workshop,
    home,
    context,
    async put(files) {
      for (const [name, text] of Object.entries(files)) {
        await mkdir(path.dirname(path.join(context, name)), { recursive: true });
        await writeFile(path.join(context, name), text);
      }
    },
    build: (buildfile, options) => build(workshop, context, buildfile, options ?? {}),
    async [Symbol.asyncDispose]() {
      await workshop[Symbol.asyncDispose]();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

async function build(
  workshop: Workshop,
  context: string,
  buildfile: string,
  options: TestBuildOptions,
): Promise<TestBuild> {
  const { target, args, contexts, ...rest } = options;
  const plan = planBuildfile(buildfile, 'Buildfile', {
    args: new Map(Object.entries(args ?? {})),
    targets: target === undefined ? [] : [target],
    platform,
    buildPlatform: platform,
    baseFolder: context,
    ...(contexts === undefined ? {} : { contexts }),
  });
  const names = new Map(plan.targets.map((name) => [name, [parseReference('result')]]));
  const events: BuildEvent[] = [];
  const result = await buildImages({ plans: [plan], names }, workshop, {
    contextFolder: context,
    buildfile: path.join(context, 'Buildfile'),
    ignore: parseIgnoreFile(''),
    noCache: false,
    pull: false,
    jobs: 2,
    network: 'none',
    proxies: {},
    pins: noPins,
    secrets: { find: async () => undefined },
    sshAgents: new Map(),
    limits: {},
    onEvent: (event) => events.push(event),
    ...rest,
  });
  const ended = (cached: boolean) =>
    events.flatMap((event) => (event.type === 'done' && event.cached === cached ? [event.vertex.title] : []));
  const [built] = result.targets;
  if (built === undefined) throw new TypeError('nothing was built');
  const image = await openImage(workshop.content, built.descriptor, { platform });
  return { ...result, ...built, image, events, ran: ended(false), cached: ended(true) };
}

async function isInitialNamespace(): Promise<boolean> {
  return /^\s*0\s+0\s+4294967295\s*$/.test(await readFile('/proc/self/uid_map', 'utf8'));
}
