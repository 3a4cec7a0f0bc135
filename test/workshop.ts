import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import {
  type BuildEvent,
  type BuildOptions,
  type BuildRequest,
  type BuildResult,
  type BuiltTarget,
  buildImages,
  noPins,
  type PlanOptions,
  parseIgnoreFile,
  planBuildfile,
  Workshop,
} from '../builder/index.ts';
import { type Clock, type Image, openImage, parsePlatform, parseReference, platformOf } from '../core/index.ts';
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
  /** The same, by what `another` gave. */
  buildIn(workshop: Workshop, buildfile: string): Promise<TestBuild>;
  /** The same store as another process has it open. */
  another(): Promise<Workshop>;
  /** Leaves the store, as the end of a process does. */
  close(): Promise<void>;
  reopen(): Promise<void>;
}

export interface TestBuildOptions extends Partial<BuildOptions> {
  readonly target?: string;
  readonly targets?: PlanOptions['targets'];
  /** `os/arch`; this machine's unless given. */
  readonly platforms?: readonly string[];
  readonly args?: Readonly<Record<string, string>>;
  readonly contexts?: PlanOptions['contexts'];
}

export interface TestBuild extends BuildResult, BuiltTarget {
  readonly plans: BuildRequest['plans'];
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
  let workshop = await openOn(home, options);
  await addBase(workshop.content, 'docker.io/library/busybox:latest', busyboxBase());
  return {
    get workshop() {
      return workshop;
    },
    home,
    context,
    async put(files) {
      for (const [name, text] of Object.entries(files)) {
        await mkdir(path.dirname(path.join(context, name)), { recursive: true });
        await writeFile(path.join(context, name), text);
      }
    },
    build: (buildfile, given) => build(workshop, context, buildfile, given ?? {}),
    buildIn: (other, buildfile) => build(other, context, buildfile, {}),
    another: () => openOn(home, options),
    async close() {
      await workshop[Symbol.asyncDispose]();
    },
    async reopen() {
      workshop = await openOn(home, options);
    },
    async [Symbol.asyncDispose]() {
      await workshop[Symbol.asyncDispose]();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

async function openOn(home: string, options: { readonly clock?: Clock }): Promise<Workshop> {
  return Workshop.open({
    home,
    launcher: await openLauncher(),
    remote: { credentials: openCredentials({ files: [] }) },
    clock: options.clock ?? { now: () => Date.now() },
    platform,
    userXattrs: process.getuid?.() === 0 ? !(await isInitialNamespace()) : true,
    bootId: (await readFile('/proc/sys/kernel/random/boot_id', 'utf8')).trim(),
    onWarning: () => {},
  });
}

async function build(
  workshop: Workshop,
  context: string,
  buildfile: string,
  options: TestBuildOptions,
): Promise<TestBuild> {
  const { target, targets, platforms, args, contexts, ...rest } = options;
  const plans = (platforms?.map(parsePlatform) ?? [platform]).map((wanted) =>
    planBuildfile(buildfile, 'Buildfile', {
      args: new Map(Object.entries(args ?? {})),
      targets: targets ?? (target === undefined ? [] : [target]),
      platform: wanted,
      buildPlatform: platform,
      baseFolder: context,
      ...(contexts === undefined ? {} : { contexts }),
    }),
  );
  const names = new Map(
    plans.flatMap((plan) => plan.targets.map((name) => [name, [parseReference('result')]] as const)),
  );
  const events: BuildEvent[] = [];
  const result = await buildImages({ plans, names }, workshop, {
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
  const [first = platform] = plans.map((plan) => plan.platform);
  const image = await openImage(workshop.content, built.descriptor, { platform: first });
  return { ...result, ...built, plans, image, events, ran: ended(false), cached: ended(true) };
}

async function isInitialNamespace(): Promise<boolean> {
  return /^\s*0\s+0\s+4294967295\s*$/.test(await readFile('/proc/self/uid_map', 'utf8'));
}
