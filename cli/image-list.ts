import path from 'node:path';
import { RecordStore } from '../builder/index.ts';
import {
  type Descriptor,
  type Digest,
  familiarReference,
  formatReference,
  openImage,
  parseReference,
  platformOf,
  shortDigest,
  withDefaultTag,
} from '../core/index.ts';
import type { OciLayout } from '../registry/index.ts';
import { formatAge } from './age.ts';
import type { ImagesFlags } from './commands/images.ts';
import type { Context } from './context.ts';
import { exitCodes } from './exit-codes.ts';
import { tryParseReference } from './image-names.ts';
import { printResult } from './result.ts';
import { formatSize } from './size.ts';
import { homeOf, openContent } from './store.ts';
import { formatTable } from './table.ts';

interface Row {
  readonly name: string;
  readonly repository: string;
  readonly tag: string;
  readonly digest: Digest;
  /** Milliseconds since the epoch: when it was built here, else what its config says. */
  readonly createdMs: number | undefined;
  /** Bytes; undefined when the image cannot be read. */
  readonly size: number | undefined;
}

/** `kiln images`. */
export async function listImages(context: Context, flags: ImagesFlags, filter: string | undefined): Promise<number> {
  const { clock } = context;
  const content = await openContent(context);
  const records = new RecordStore(path.join(homeOf(context), 'records'));
  const isWanted = filter === undefined ? () => true : filterFor(filter);
  const rows: Row[] = [];
  for (const { name, descriptor } of await content.list()) {
    if (isWanted(name)) rows.push(await readRow(context, content, records, name, descriptor));
  }
  rows.sort((a, b) => (b.createdMs ?? 0) - (a.createdMs ?? 0) || (a.name < b.name ? -1 : 1));
  printResult(context, flags, rows.map(jsonOf), () => render(rows, flags, clock.now()));
  return exitCodes.ok;
}

function render(rows: readonly Row[], flags: ImagesFlags, nowMs: number): string {
  const idOf = (digest: Digest): string => (flags['no-trunc'] ? digest : shortDigest(digest));
  if (flags.quiet) return [...new Set(rows.map(({ digest }) => `${idOf(digest)}\n`))].join('');
  const headings = ['REPOSITORY', 'TAG', ...(flags.digests ? ['DIGEST'] : []), 'IMAGE ID', 'CREATED', 'SIZE'];
  return formatTable(
    headings,
    rows.map(({ repository, tag, digest, createdMs, size }) => [
      repository,
      tag,
      ...(flags.digests ? [digest] : []),
      idOf(digest),
      createdMs === undefined ? 'N/A' : formatAge(createdMs, nowMs),
      size === undefined ? 'unreadable' : formatSize(size),
    ]),
  );
}

function jsonOf({ name, repository, tag, digest, createdMs, size }: Row): object {
  const created = createdMs === undefined ? undefined : new Date(createdMs).toISOString();
  return { name, repository, tag, digest, created, sizeBytes: size };
}

/** `debian` means every tag of it, `debian:bookworm` that one. */
function filterFor(text: string): (name: string) => boolean {
  const wanted = parseReference(text);
  const exact = formatReference(withDefaultTag(wanted));
  return (name) => {
    if (wanted.tag !== undefined || wanted.digest !== undefined) return name === exact;
    const reference = tryParseReference(name);
    return reference?.registry === wanted.registry && reference.repository === wanted.repository;
  };
}

async function readRow(
  { signal }: Context,
  content: OciLayout,
  records: RecordStore,
  name: string,
  descriptor: Descriptor,
): Promise<Row> {
  const reference = tryParseReference(name);
  const known = {
    name,
    repository:
      reference === undefined
        ? name
        : familiarReference({ registry: reference.registry, repository: reference.repository }),
    tag: reference?.tag ?? '<none>',
    digest: descriptor.digest,
  };
  try {
    const { config, layers } = await openImage(content, descriptor, { signal, platform: platformOf(process.arch) });
    return {
      ...known,
      createdMs: (await builtAtMs(records, descriptor.digest)) ?? parseTime(config.created),
      size: layers.reduce((sum, layer) => sum + layer.descriptor.size, 0),
    };
  } catch {
    // One image that is damaged, or for another platform only, must not hide the others.
    signal.throwIfAborted();
    return { ...known, createdMs: undefined, size: undefined };
  }
}

const firstDayMs = 24 * 60 * 60 * 1000;

/** The image itself has a constant time; when it really was built is kept beside it. */
async function builtAtMs(records: RecordStore, digest: Digest): Promise<number | undefined> {
  const record = await records.read('builds-v1', digest);
  if (typeof record !== 'object' || record === null || !('builtAtMs' in record)) return undefined;
  return typeof record.builtAtMs === 'number' ? record.builtAtMs : undefined;
}

/** Undefined too for the constants near the epoch that reproducible builds write: they say nothing about age. */
function parseTime(text: string | undefined): number | undefined {
  const time = text === undefined ? Number.NaN : Date.parse(text);
  return time > firstDayMs ? time : undefined;
}
