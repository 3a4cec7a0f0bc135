import type { BaseRecord, RecordStore } from '../builder/index.ts';
import { type Digest, isDigest } from '../core/index.ts';
import type { Rebuild } from './rebuild.ts';

/** What is kept of each image. */
const maxRebuilds = 100;

/** The rebuilds of this store, one record per image, oldest first. Only whoever holds the round's lock adds to it. */
export class RebuildHistory {
  readonly #records: Pick<RecordStore, 'read' | 'write'>;

  constructor(records: Pick<RecordStore, 'read' | 'write'>) {
    this.#records = records;
  }

  /** As they were written; a record that cannot be read is empty. */
  async of(tag: string): Promise<readonly unknown[]> {
    const record = await this.#records.read('rebuilds-v1', tag);
    return isTable(record) && Array.isArray(record.rebuilds) ? record.rebuilds : [];
  }

  async add(rebuild: Rebuild): Promise<void> {
    const rebuilds = [...(await this.of(rebuild.tag)), rebuild].slice(-maxRebuilds);
    await this.#records.write('rebuilds-v1', rebuild.tag, { tag: rebuild.tag, rebuilds });
  }

  /** What the last rebuild that succeeded was made of, and what came out. */
  async lastResult(tag: string): Promise<{ digest: Digest; sources: readonly BaseRecord[] } | undefined> {
    return (await this.of(tag)).flatMap((rebuild) => resultOf(rebuild) ?? []).at(-1);
  }
}

function resultOf(rebuild: unknown): { digest: Digest; sources: readonly BaseRecord[] } | undefined {
  if (!isTable(rebuild) || !isTable(rebuild.outcome) || !Array.isArray(rebuild.sources)) return undefined;
  const { digest } = rebuild.outcome;
  if (typeof digest !== 'string' || !isDigest(digest)) return undefined;
  const sources = rebuild.sources.flatMap((source: unknown) => {
    if (!isTable(source) || typeof source.name !== 'string') return [];
    return typeof source.digest === 'string' && isDigest(source.digest)
      ? [{ name: source.name, digest: source.digest }]
      : [];
  });
  return { digest, sources };
}

function isTable(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
