import {
  type CallOptions,
  type Descriptor,
  errorCode,
  type Image,
  type ImageConfig,
  openImage,
  type Platform,
  parseDescriptor,
  ToolError,
} from '../../core/index.ts';
import { defaultPath } from '../../runtime/index.ts';
import { bootstrapEntries } from '../bootstrap/bootstrap.ts';
import { type ResolvedBootstrap, resolveBootstrap } from '../bootstrap/resolve.ts';
import type { BootstrapSource } from '../plan/plan.ts';
import { clampTimes, writeLayer } from '../workshop/layers.ts';
import type { Workshop } from '../workshop/workshop.ts';
import { writeImage } from '../workshop/write-image.ts';
import type { OpenBase } from './image-base.ts';

export interface BootstrapOptions extends CallOptions {
  readonly platform: Platform;
  /** Asks the archive again which versions it has now. */
  readonly pull: boolean;
  readonly onStatus?: (text: string) => void;
  /** HTTP_PROXY and its kin, for the package tools. */
  readonly proxies?: Readonly<Record<string, string>>;
}

/** `bootstrap:debian/bookworm`. */
export function bootstrapName(source: BootstrapSource): string {
  return `bootstrap:${source.distribution}/${source.suite}`;
}

/**
 * Opens a root file system made of a distribution's packages. Once resolved, a source means the same versions until
 * `pull` asks again; equal versions are one cached image, whoever asked for them.
 */
export async function openBootstrapBase(
  workshop: Workshop,
  source: BootstrapSource,
  options: BootstrapOptions,
): Promise<OpenBase> {
  const { records, content } = workshop;
  const asked = JSON.stringify([source, options.platform]);
  const last = parseMade(await records.read('bootstraps-v1', asked));
  const isKnown = !options.pull && last !== undefined && (await content.has(last.descriptor, options));
  const image = isKnown
    ? await openImage(content, last.descriptor, options)
    : await workshop.basesUnderWay.run(asked, () => bootstrapAgain(workshop, source, asked, options));
  return { image, record: { name: bootstrapName(source), digest: image.descriptor.digest } };
}

/** Asks the archive, and installs unless that very set of versions has been installed before. */
async function bootstrapAgain(
  workshop: Workshop,
  source: BootstrapSource,
  asked: string,
  options: BootstrapOptions,
): Promise<Image> {
  const { records, content } = workshop;
  await using scratch = await (await workshop.scratch()).make('bootstrap');
  options.onStatus?.('asking the package archive for versions');
  const call = {
    signal: options.signal,
    scratch: scratch.path,
    architecture: options.platform.architecture,
    ...proxyEnvironment(options),
  };
  const resolved = await resolveBootstrap(source, call);
  const known = parseMade(await records.read('bootstrap-sets-v1', resolved.digest));
  const usable = known !== undefined && (await content.has(known.descriptor, options));
  const descriptor = usable ? known.descriptor : await make(workshop, resolved, scratch.path, options);
  const record = { descriptor, set: resolved.digest, packages: resolved.packages };
  await records.write('bootstrap-sets-v1', resolved.digest, record);
  await records.write('bootstraps-v1', asked, record);
  return openImage(content, descriptor, options);
}

async function make(
  workshop: Workshop,
  resolved: ResolvedBootstrap,
  scratch: string,
  options: BootstrapOptions,
): Promise<Descriptor> {
  const { launcher, clock } = workshop.options;
  options.onStatus?.(`installing ${resolved.packages.length} packages`);
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

function proxyEnvironment({ proxies }: BootstrapOptions): { readonly proxyEnvironment?: Record<string, string> } {
  return proxies === undefined ? {} : { proxyEnvironment: { ...proxies } };
}

function parseMade(record: unknown): { readonly descriptor: Descriptor } | undefined {
  if (typeof record !== 'object' || record === null || !('descriptor' in record)) return undefined;
  try {
    return { descriptor: parseDescriptor(record.descriptor) };
  } catch (error) {
    if (errorCode(error) === 'DESCRIPTOR_INVALID' || errorCode(error) === 'DIGEST_INVALID') return undefined;
    throw error;
  }
}
