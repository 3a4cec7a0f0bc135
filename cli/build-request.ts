import { statSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import {
  type BuildOptions,
  type BuildRequest,
  type NamedContext,
  type OpenedContext,
  openBuildContext,
  type Plan,
  type PlanOptions,
  planBuildfile,
  planUntil,
} from '../builder/index.ts';
import { formatPlatform, type Platform, parsePlatform, platformOf, type Reference, ToolError } from '../core/index.ts';
import { annotationsOf } from './annotation-flags.ts';
import { type BuildExports, exportsOf } from './build-exports.ts';
import { absentFlags } from './command.ts';
import { type BuildFlags, buildFlags } from './commands/build.ts';
import { proxyVariables } from './compose.ts';
import type { Context } from './context.ts';
import { assignment } from './environment-lines.ts';
import { nameForImage } from './image-names.ts';
import { limitsOf } from './limit-flags.ts';
import { secretsOf, sshAgentsOf } from './secret-flags.ts';
import { imageNames } from './short-names.ts';

/** What a command line asks to be built, as far as it is known without touching the store. */
export interface BuildCommandRequest {
  readonly request: BuildRequest;
  readonly names: readonly Reference[];
  readonly context: OpenedContext;
  readonly exports: BuildExports;
  /** All that a build needs besides its pins and where its progress goes. */
  readonly options: Omit<BuildOptions, 'pins' | 'onEvent' | 'signal'>;
}

/**
 * Reads the command line, the Buildfile and the ignore file; plans.
 * @throws ToolError USAGE_*; BuildfileError
 */
export async function readBuildRequest(
  context: Context,
  given: Partial<BuildFlags>,
  folder: string,
): Promise<BuildCommandRequest> {
  const flags: BuildFlags = { ...absentFlags(buildFlags), ...given };
  const opened = await openBuildContext(folder, {
    file: flags.file,
    workingFolder: context.folder,
    imageNames: await imageNames(context),
    signal: context.signal,
  });
  const whole = platformsOf(flags, context).map((platform) => planFor(platform, opened, flags, context));
  requireSameTargets(whole);
  const { until } = flags;
  if (until !== undefined) refuseExports(flags);
  const plans = until === undefined ? whole : whole.map((plan) => planUntil(plan, until));
  // What is built up to a step has no name.
  const names = until === undefined ? namesByTarget(flags, plans[0]?.targets ?? []) : new Map<string, Reference[]>();
  const exports = exportsOf(flags, context);
  if (until === undefined) addNames(names, exports.names, plans[0]?.targets ?? []);
  if (exports.push && names.size === 0 && until === undefined) {
    throw new ToolError('USAGE_PUSH_WITHOUT_NAME', '--push needs a name to push to', { hint: 'add -t NAME' });
  }
  return {
    request: { plans, names },
    names: [...names.values()].flat(),
    context: opened,
    exports,
    options: {
      contextFolder: opened.contextFolder,
      ignore: opened.ignore,
      buildfile: opened.buildfile,
      noCache: flags['no-cache'],
      noCacheStages: new Set(flags['no-cache-filter'].flatMap(byComma)),
      pull: flags.pull,
      jobs: jobsOf(flags),
      network: flags.network === 'none' || flags.network === 'host' ? flags.network : 'default',
      proxies: proxyVariables(context.env),
      secrets: secretsOf(flags.secret, context),
      sshAgents: sshAgentsOf(flags.ssh, context),
      ...(context.env.HOME === undefined ? {} : { sshKnownHosts: path.join(context.env.HOME, '.ssh/known_hosts') }),
      limits: limitsOf(flags),
      squash: flags.squash,
      labels: pairs(flags.label, '--label', context),
      ...annotationsOf(flags.annotation, context, { platforms: plans.length }),
    },
  };
}

/** What is built up to a step goes nowhere: a flag that says where to would do nothing, and nobody would know. */
function refuseExports(flags: BuildFlags): void {
  const names = ['push', 'output', 'iidfile', 'metadata-file', 'cache-to'] as const;
  const given = names.find((name) => {
    const value = flags[name];
    return Array.isArray(value) ? value.length > 0 : value !== undefined && value !== false;
  });
  if (given === undefined) return;
  throw new ToolError('USAGE_UNTIL', `--until ends before there is an image: --${given} would do nothing`, {
    hint: `leave --${given} away, or build it all`,
  });
}

/** `when` may leave a stage out for one platform: an index of different things would be none. */
function requireSameTargets(plans: readonly Plan[]): void {
  const [first, ...others] = plans;
  const other = others.find(({ targets }) => targets.join() !== first?.targets.join());
  if (first === undefined || other === undefined) return;
  throw new ToolError(
    'USAGE_PLATFORM_TARGETS',
    `${formatPlatform(first.platform)} would build ${first.targets.join(', ')}, and ${formatPlatform(other.platform)} ${other.targets.join(', ')}`,
    { hint: 'name a --target that all platforms have' },
  );
}

function planFor(platform: Platform, opened: OpenedContext, flags: BuildFlags, context: Context): Plan {
  return planBuildfile(opened.buildfileText, opened.buildfileName, planOptionsFor(opened, flags, context, platform));
}

/** Platforms that images are made for; what else there is, nobody is known to build for from one Buildfile. */
const usualPlatforms = ['amd64', 'arm64', 'arm/v7', '386', 'ppc64le', 'riscv64', 's390x'];

/** What the same command would build for platforms that were not asked for; of those that it can be built for. */
export function plansElsewhere(
  opened: OpenedContext,
  flags: Parameters<typeof planOptionsFor>[1],
  context: Context,
): readonly Plan[] {
  const asked = new Set(platformsOf(flags, context).map(formatPlatform));
  const others = usualPlatforms.map((name) => parsePlatform(`linux/${name}`));
  return others.flatMap((platform) => {
    if (asked.has(formatPlatform(platform))) return [];
    const options = planOptionsFor(opened, flags, context, platform);
    try {
      return [planBuildfile(opened.buildfileText, opened.buildfileName, options)];
    } catch (error) {
      // A `when` may leave nothing to build.
      if (error instanceof ToolError) return [];
      throw error;
    }
  });
}

/** What a plan depends on besides the Buildfile; for the first platform that is asked for unless said. */
export function planOptionsFor(
  opened: OpenedContext,
  flags: Pick<BuildFlags, 'all' | 'target' | 'build-arg' | 'build-context' | 'platform'>,
  context: Context,
  platform: Platform = platformsOf(flags, context)[0] ?? platformOf(process.arch),
): PlanOptions {
  const args = new Map(Object.entries(pairs(flags['build-arg'], '--build-arg', context)));
  return {
    targets: flags.all ? 'all' : flags.target,
    args,
    contexts: contextsOf(flags, context),
    platform,
    buildPlatform: platformOf(process.arch),
    sourceDateEpoch: parseEpoch(args.get('SOURCE_DATE_EPOCH') ?? context.env.SOURCE_DATE_EPOCH),
    baseFolder: opened.buildfileFolder,
    includes: opened.includes,
    imageName: opened.imageNames?.inFull,
  };
}

/** Without the flag, `DOCKER_DEFAULT_PLATFORM`, else this machine's. */
function platformsOf(flags: Pick<BuildFlags, 'platform'>, { env }: Context): readonly Platform[] {
  const asked = flags.platform.flatMap(byComma);
  const usual = env.DOCKER_DEFAULT_PLATFORM;
  const platforms = asked.length > 0 ? asked : usual === undefined || usual === '' ? [] : [usual];
  if (platforms.length === 0) return [platformOf(process.arch)];
  const byName = new Map(platforms.map(parsePlatform).map((platform) => [formatPlatform(platform), platform]));
  return [...byName.values()];
}

/** `-t NAME` for the one target, `-t STAGE=NAME` for one of several. */
function namesByTarget(flags: Pick<BuildFlags, 'tag'>, targets: readonly string[]): Map<string, Reference[]> {
  const names = new Map<string, Reference[]>();
  for (const text of flags.tag) {
    const equals = text.indexOf('=');
    const target = equals === -1 ? targets[0] : text.slice(0, equals);
    if (equals === -1 && targets.length > 1) {
      throw new ToolError('USAGE_TAG_TARGET', `-t ${text}: there are several targets; say which one it names`, {
        hint: `write -t STAGE=${text}, STAGE being one of ${targets.slice(0, 10).join(', ')}`,
      });
    }
    if (target === undefined || !targets.includes(target)) {
      throw new ToolError('USAGE_TAG_TARGET', `-t ${text}: ${target} is not among what is built`, {
        hint: `this builds ${targets.slice(0, 10).join(', ')}`,
      });
    }
    names.set(target, [...(names.get(target) ?? []), nameForImage(text.slice(equals + 1))]);
  }
  return names;
}

/** Names out of `--output name=`: for the one target there is. */
function addNames(names: Map<string, Reference[]>, more: readonly Reference[], targets: readonly string[]): void {
  const [target, ...others] = targets;
  if (more.length === 0 || target === undefined) return;
  if (others.length > 0) {
    throw new ToolError('USAGE_TAG_TARGET', '--output name=…: there are several targets; it says not which it names', {
      hint: `write -t STAGE=NAME, STAGE being one of ${targets.slice(0, 10).join(', ')}`,
    });
  }
  names.set(target, [...(names.get(target) ?? []), ...more]);
}

export function contextsOf(
  flags: Pick<BuildFlags, 'build-context'>,
  { folder }: Context,
): ReadonlyMap<string, NamedContext> {
  return new Map(
    flags['build-context'].map((text) => {
      const equals = text.indexOf('=');
      const [name, source] = [text.slice(0, Math.max(0, equals)), text.slice(equals + 1)];
      if (name === '' || source === '') {
        throw new ToolError('USAGE_BUILD_CONTEXT', `--build-context ${JSON.stringify(text)} is not NAME=SOURCE`, {
          hint: contextSources,
        });
      }
      return [name, namedContext(text, source, folder)] as const;
    }),
  );
}

const contextSources = 'a source is a folder (./lib), an image (docker-image://NAME), or a layout (oci:PATH)';

/** What begins as a path does is a folder; a bare word is one where there is one of that name, else an image. */
function namedContext(text: string, source: string, workingFolder: string): NamedContext {
  const refused = (why: string, hint: string = contextSources): ToolError =>
    new ToolError('USAGE_BUILD_CONTEXT', `--build-context ${text}: ${why}`, { hint });
  const layout = /^(?:oci:|oci-layout:\/\/)(.*)$/.exec(source)?.[1];
  if (layout !== undefined) {
    // As in a Buildfile's `from`: the name begins after the first colon, and may have a tag.
    const [, folder = '', name] = /^([^:]+)(?::(.+))?$/.exec(layout) ?? [];
    if (folder === '') throw refused('a layout is written oci:PATH or oci:PATH:NAME');
    return { kind: 'layout', path: path.resolve(workingFolder, folder), ...(name === undefined ? {} : { name }) };
  }
  const image = /^docker-image:\/\/(.*)$/.exec(source)?.[1];
  if (image !== undefined) return { kind: 'image', reference: image };
  const folder = path.resolve(workingFolder, source);
  const found = statSync(folder, { throwIfNoEntry: false });
  if (found?.isDirectory()) return { kind: 'folder', path: folder };
  if (!/^(?:\.{0,2}\/|\.{1,2}$|~)/.test(source)) return { kind: 'image', reference: source };
  if (found !== undefined) throw refused(`${source} is not a folder`);
  const tilde = source.startsWith('~') ? 'the shell left the ~ as it is: write "$HOME" instead' : undefined;
  throw refused(`there is no folder ${source}`, tilde);
}

function jobsOf({ jobs }: Pick<BuildFlags, 'jobs'>): number {
  // Many steps wait, for a network or a disk, more than they compute.
  if (jobs === undefined) return Math.max(4, os.availableParallelism());
  if (/^[1-9]\d{0,3}$/.test(jobs)) return Number(jobs);
  throw new ToolError('USAGE_FLAG_VALUE', `--jobs ${JSON.stringify(jobs)} is not a number of 1 or more`);
}

export function pairs(texts: readonly string[], flag: string, { env }: Context): Record<string, string> {
  return Object.fromEntries(
    texts.flatMap((text) => {
      const pair = assignment(text, flag, env);
      return pair === undefined ? [] : [pair];
    }),
  );
}

function byComma(text: string): string[] {
  return text.split(',').filter((part) => part !== '');
}

/** An explicit SOURCE_DATE_EPOCH, seconds; of a year with four digits, as RFC 3339 has it. */
export function parseEpoch(text: string | undefined): number | undefined {
  if (text === undefined || text === '') return undefined;
  const seconds = Number(text);
  if (/^\d{1,11}$/.test(text)) return seconds;
  throw new ToolError(
    'USAGE_SOURCE_DATE_EPOCH',
    `SOURCE_DATE_EPOCH is ${JSON.stringify(text)}, not a number of seconds`,
  );
}
