import { createHash } from 'node:crypto';
import { readdir, readFile, rm, stat } from 'node:fs/promises';
import path from 'node:path';
import { canonicalJson, errorCode, writeFileAtomic, writeFileUnsynced } from '../../core/index.ts';

/** What Kiln remembers besides content. The folder name of a kind carries its format version. */
export type RecordKind =
  | 'steps-v1'
  | 'listings-v1'
  | 'bootstraps-v1'
  | 'bootstrap-sets-v1'
  | 'origins-v1'
  | 'builds-v1'
  | 'compressed-v2'
  | 'uploads-v1'
  | 'blob-places-v1'
  | 'contexts-v2'
  | 'selections-v1'
  | 'rebuilds-v1'
  | 'traces-v1'
  | 'fetches-v1'
  | 'package-sets-v1';

/** What could not be found out again; all others are caches, whose loss in a crash of the machine costs work only. */
const durableKinds: ReadonlySet<RecordKind> = new Set(['origins-v1', 'builds-v1', 'rebuilds-v1']);

/** Of no use to anyone but the account, and better not read by others. */
const privateKinds: ReadonlySet<RecordKind> = new Set(['uploads-v1']);

export interface StoredRecord {
  readonly key: string;
  readonly value: unknown;
  readonly writtenMs: number;
}

/**
 * Small JSON records, one file each. A record whose check does not match, or that cannot be parsed, reads as absent:
 * losing one costs work, never truth.
 */
export class RecordStore {
  readonly #folder: string;

  constructor(folder: string) {
    this.#folder = folder;
  }

  /** The record as it was written; callers parse its shape. */
  async read(kind: RecordKind, key: string): Promise<unknown> {
    let text: string;
    try {
      text = await readFile(this.#file(kind, key), 'utf8');
    } catch (error) {
      if (errorCode(error) === 'ENOENT') return undefined;
      throw error;
    }
    return unwrap(text, key);
  }

  async write(kind: RecordKind, key: string, value: unknown): Promise<void> {
    const body = canonicalJson(value);
    const text = `${canonicalJson({ key, check: checksum(key, body) })}\n${body}\n`;
    const file = this.#file(kind, key);
    if (privateKinds.has(kind)) return writeFileAtomic(file, text, 0o600);
    await (durableKinds.has(kind) ? writeFileAtomic(file, text) : writeFileUnsynced(file, text));
  }

  async remove(kind: RecordKind, key: string): Promise<void> {
    await rm(this.#file(kind, key), { force: true });
  }

  /** All readable records of a kind. */
  async *all(kind: RecordKind): AsyncGenerator<unknown> {
    for await (const { value } of this.entries(kind)) yield value;
  }

  /** As `all`, with the key of each and when it was written, milliseconds since the epoch. */
  async *entries(kind: RecordKind): AsyncGenerator<StoredRecord> {
    const folder = path.join(this.#folder, kind);
    let names: string[];
    try {
      names = await readdir(folder);
    } catch (error) {
      if (errorCode(error) === 'ENOENT') return;
      throw error;
    }
    for (const name of names.sort()) {
      if (name.startsWith('.') || !name.endsWith('.json')) continue;
      const file = path.join(folder, name);
      const text = await readFile(file, 'utf8').catch(() => '');
      const value = unwrap(text, undefined);
      const written = value === undefined ? undefined : await stat(file).catch(() => undefined);
      if (written !== undefined) yield { key: keyOf(text), value, writtenMs: written.mtimeMs };
    }
  }

  #file(kind: RecordKind, key: string): string {
    return path.join(this.#folder, kind, `${createHash('sha256').update(key).digest('hex')}.json`);
  }
}

/** Of a record that could be unwrapped. */
function keyOf(text: string): string {
  return (JSON.parse(text.slice(0, text.indexOf('\n'))) as { readonly key: string }).key;
}

function unwrap(text: string, key: string | undefined): unknown {
  const [header = '', body = ''] = text.split('\n');
  try {
    const { key: writtenKey, check } = JSON.parse(header) as { key?: unknown; check?: unknown };
    if (typeof writtenKey !== 'string' || (key !== undefined && writtenKey !== key)) return undefined;
    return check === checksum(writtenKey, body) ? JSON.parse(body) : undefined;
  } catch {
    return undefined;
  }
}

function checksum(key: string, body: string): string {
  return createHash('sha256').update(`${key.length}:${key}`).update(body).digest('hex');
}
