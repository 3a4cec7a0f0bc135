import type { CallOptions } from '../../core/index.ts';
import type { Entry } from '../../runtime/index.ts';
import type { Match } from '../copy/select.ts';
import type { Preimage } from '../workshop/step-cache.ts';

/** What a fetch brings, known well enough for a cache key and not necessarily here. */
export interface FetchedContent {
  /** Its part of the key: what it is, never where it came from. */
  readonly identity: Preimage;
  /** Brings it here; the entries' contents can be read until it is disposed. */
  open(options: CallOptions): Promise<OpenContent>;
}

export interface OpenContent extends AsyncDisposable {
  readonly match: Match;
}

const smallBytes = 1024 * 1024;

/** Streams of small files read: the tar writer takes bytes at hand several times faster. */
export async function* withSmallFilesRead(entries: Iterable<Entry>): AsyncGenerator<Entry, void> {
  for (const entry of entries) {
    if (entry.type !== 'file' || entry.content.kind !== 'stream' || entry.size > smallBytes) {
      yield entry;
      continue;
    }
    const chunks: Buffer[] = [];
    for await (const chunk of entry.content.stream) chunks.push(chunk);
    yield { ...entry, content: { kind: 'bytes', bytes: Buffer.concat(chunks) } };
  }
}
