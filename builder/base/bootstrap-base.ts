import {
  type CallOptions,
  canonicalJson,
  type Descriptor,
  errorCode,
  formatPlatform,
  type Image,
  type ImageConfig,
  openImage,
  type Platform,
  parseDescriptor,
  sha256,
  ToolError,
} from '../../core/index.ts';
import { canRun, defaultPath } from '../../runtime/index.ts';
import type { ResolvedBootstrap } from '../bootstrap/resolve.ts';
import { sortPinned } from '../lock/lock-content.ts';
import { noPins, type PinnedPackage, type Pins } from '../lock/pins.ts';
import type { BootstrapSource } from '../plan/plan.ts';
import { clampTimes, writeLayer } from '../workshop/layers.ts';
import type { Workshop } from '../workshop/workshop.ts';
import { writeImage } from '../workshop/write-image.ts';
import type { OpenBase } from './image-base.ts';

export interface BootstrapOptions extends CallOptions {
  readonly platform: Platform;
  /** Asks the archive again which versions it has now, whatever the pins say. */
  readonly pull: boolean;
  readonly pins?: Pins;
  readonly onStatus?: (text: string) => void;
  /** HTTP_PROXY and its kin, for the package tools. */
  readonly proxies?: Readonly<Record<string, string>>;
}

/** `bootstrap:debian/bookworm`. */
export function bootstrapName(source: BootstrapSource): string {
  return `bootstrap:${source.distribution}/${source.suite}`;
}

/** What a source is called in the lock file: all that the archive is asked, the suite and the platform first. */
export function bootstrapKey(source: BootstrapSource, platform: Platform): string {
  const { distribution, suite, variant, security, include } = normalised(source);
  return [
    `${distribution}/${suite}`,
    formatPlatform(platform),
    `variant=${variant}`,
    `security=${security}`,
    ...(include.length === 0 ? [] : [`include=${include.join(',')}`]),
  ].join(' ');
}

/**
 * Opens a root file system made of a distribution's packages: those that the pins say, else those that the archive gave
 * the last time it was asked on this machine, else, and always with `pull`, those it has now. Equal versions are one
 * cached image, whoever asked for them.
 */
export async function openBootstrapBase(
  workshop: Workshop,
  source: BootstrapSource,
  options: BootstrapOptions,
): Promise<OpenBase> {
  const { content } = workshop;
  const { pins = noPins, platform } = options;
  const key = bootstrapKey(source, platform);
  const pinned = options.pull ? undefined : pins.find('bootstraps', key);
  const known = await findMade(workshop, source, pinned, options);
  const joined = JSON.stringify([source, platform, pinned]);
  const image =
    known === undefined
      ? await workshop.basesUnderWay.run(joined, () => bootstrapAgain(workshop, source, pinned, options))
      : await openImage(content, known.descriptor, options);
  // Who joined another stage's bootstrap finds what that one noted.
  const made = known ?? (await findMade(workshop, source, pinned, { ...options, pull: false }));
  if (pinned === undefined && made !== undefined) pins.keep('bootstraps', key, made.packages);
  return { image, record: { name: bootstrapName(source), digest: image.descriptor.digest } };
}

/** What the archive has now for a source; nothing is installed. */
export async function askBootstrap(
  workshop: Workshop,
  source: BootstrapSource,
  options: Omit<BootstrapOptions, 'pull' | 'pins'>,
): Promise<readonly PinnedPackage[]> {
  await using scratch = await (await workshop.scratch()).make('bootstrap');
  const { resolveBootstrap } = await import('../bootstrap/resolve.ts');
  return (await resolveBootstrap(source, callFor(scratch.path, options))).packages;
}

/** A root that was made: its image, and what it is made of. */
interface Made {
  readonly descriptor: Descriptor;
  readonly packages: readonly PinnedPackage[];
}

async function findMade(
  { records, content }: Workshop,
  source: BootstrapSource,
  pinned: readonly PinnedPackage[] | undefined,
  options: BootstrapOptions,
): Promise<Made | undefined> {
  if (pinned === undefined && options.pull) return undefined;
  const made = parseMade(
    pinned === undefined
      ? await records.read('bootstraps-v1', askedName(source, options.platform))
      : await records.read('bootstrap-sets-v1', pinnedName(source, options.platform, pinned)),
  );
  return made !== undefined && (await content.has(made.descriptor, options)) ? made : undefined;
}

/** Asks the archive, and installs unless that very set of versions has been installed before. */
async function bootstrapAgain(
  workshop: Workshop,
  source: BootstrapSource,
  pinned: readonly PinnedPackage[] | undefined,
  options: BootstrapOptions,
): Promise<Image> {
  const { records, content } = workshop;
  const { platform } = options;
  if (!(await canRun(platform))) throw cannotBootstrap(source, platform);
  await using scratch = await (await workshop.scratch()).make('bootstrap');
  options.onStatus?.('asking the package archive for versions');
  const call = callFor(scratch.path, options);
  const { resolveBootstrap } = await import('../bootstrap/resolve.ts');
  const resolved = await resolveBootstrap(source, pinned === undefined ? call : { ...call, pinned });
  const known = parseMade(await records.read('bootstrap-sets-v1', resolved.digest));
  const usable = known !== undefined && (await content.has(known.descriptor, options));
  const descriptor = usable ? known.descriptor : await make(workshop, resolved, scratch.path, options);
  const record = { descriptor, set: resolved.digest, packages: resolved.packages };
  await records.write('bootstrap-sets-v1', resolved.digest, record);
  await records.write('bootstrap-sets-v1', pinnedName(source, platform, resolved.packages), record);
  // What is locked says nothing about what the archive has now.
  if (pinned === undefined) await records.write('bootstraps-v1', askedName(source, platform), record);
  return openImage(content, descriptor, options);
}

/** Packages run programs of their own when they are installed. */
function cannotBootstrap(source: BootstrapSource, platform: Platform): ToolError {
  return new ToolError(
    'PLATFORM_CANNOT_RUN',
    `${bootstrapName(source)} cannot be made for ${formatPlatform(platform)} here: this machine does not run its programs`,
    {
      hint: 'make it on such a machine and push it, or let the kernel run them by an emulator (as root: apt-get install -y qemu-user-static binfmt-support)',
    },
  );
}

function callFor(scratch: string, options: Omit<BootstrapOptions, 'pull' | 'pins'>) {
  return {
    signal: options.signal,
    scratch,
    architecture: options.platform.architecture,
    ...proxyEnvironment(options),
  };
}

function askedName(source: BootstrapSource, platform: Platform): string {
  return JSON.stringify([source, platform]);
}

/** What a set is remembered under that a lock file names: found without asking an archive. */
function pinnedName(source: BootstrapSource, platform: Platform, packages: readonly PinnedPackage[]): string {
  return `pinned ${sha256(canonicalJson([normalised(source), platform, sortPinned(packages)]))}`;
}

function normalised(source: BootstrapSource): BootstrapSource {
  return { ...source, include: [...new Set(source.include)].sort() };
}

async function make(
  workshop: Workshop,
  resolved: ResolvedBootstrap,
  scratch: string,
  options: BootstrapOptions,
): Promise<Descriptor> {
  const { launcher, clock } = workshop.options;
  options.onStatus?.(`installing ${resolved.packages.length} packages`);
  const { bootstrapEntries } = await import('../bootstrap/bootstrap.ts');
  await using tree = await bootstrapEntries(resolved, {
    signal: options.signal,
    scratch,
    launcher,
    startedAt: clock.now(),
    ...proxyEnvironment(options),
  });
  const written = await writeLayer(workshop, clampTimes(tree.entries, undefined), options);
  if (written === undefined)
    throw new ToolError('BOOTSTRAP_FAILED', `${bootstrapName(resolved.source)} came out empty`);
  const config: ImageConfig = {
    ...options.platform,
    created: '1970-01-01T00:00:01Z',
    config: { Env: [`PATH=${defaultPath}`], Cmd: ['/bin/bash'] },
    diffIds: [written.layer.diffId],
    history: [
      {
        created: '1970-01-01T00:00:01Z',
        created_by: `FROM ${bootstrapName(resolved.source)}`,
        comment: resolved.digest,
      },
    ],
  };
  return writeImage(workshop, config, [written.layer.descriptor], {}, options);
}

function proxyEnvironment({ proxies }: Pick<BootstrapOptions, 'proxies'>): {
  readonly proxyEnvironment?: Record<string, string>;
} {
  return proxies === undefined ? {} : { proxyEnvironment: { ...proxies } };
}

function parseMade(record: unknown): Made | undefined {
  if (typeof record !== 'object' || record === null || !('descriptor' in record) || !('packages' in record))
    return undefined;
  if (!Array.isArray(record.packages) || !record.packages.every(isPinned)) return undefined;
  try {
    return { descriptor: parseDescriptor(record.descriptor), packages: record.packages };
  } catch (error) {
    if (errorCode(error) === 'DESCRIPTOR_INVALID' || errorCode(error) === 'DIGEST_INVALID') return undefined;
    throw error;
  }
}

function isPinned(value: unknown): value is PinnedPackage {
  const { name, version, architecture, hash } = (value ?? {}) as Partial<Record<keyof PinnedPackage, unknown>>;
  return [name, version, architecture, hash].every((field) => typeof field === 'string');
}
