import { createHash, type Hash } from 'node:crypto';
import { Readable } from 'node:stream';
import { type CallOptions, type DiffId, parseDiffId } from '../../core/index.ts';
import type { Launcher } from '../launcher.ts';
import { ApplyProcess, type ApplyReport } from './apply-process.ts';
import { forEachEntry } from './decode.ts';
import type { Entry } from './entry.ts';

/** A layer that is now a directory. */
export interface AppliedLayer extends ApplyReport {
  /** Of the bytes that were read; the caller compares it with what it should be. */
  readonly diffId: DiffId;
  /** Sum of the sizes of all files. */
  readonly sizeBytes: number;
}

/**
 * Applies an uncompressed, hostile layer to an empty directory of ours, in overlayfs' form: whiteouts are devices 0:0,
 * opaque directories carry the mark `trusted.overlay.opaque`, or `user.overlay.opaque` with `userXattrs`. Symbolic
 * links are followed within the directory only; missing parents are made; later entries replace earlier ones.
 * @throws ToolError LAYER_INVALID, LAYER_UNSUPPORTED, LAYER_TRUNCATED, LAYER_ID_UNMAPPED, LAYER_APPLY_FAILED
 */
export async function applyLayer(
  launcher: Launcher,
  tar: Readable,
  directory: string,
  options: CallOptions & { readonly userXattrs: boolean },
): Promise<AppliedLayer> {
  await using process = new ApplyProcess(launcher, directory, options);
  const hash = createHash('sha256');
  let sizeBytes = 0;
  await forEachEntry(
    Readable.from(hashed(tar, hash), { objectMode: false }),
    (entry) => {
      if (entry.type === 'file') sizeBytes += entry.size;
      return process.apply(entry);
    },
    options,
  );
  const report = await process.finish();
  return { ...report, diffId: parseDiffId(`sha256:${hash.digest('hex')}`), sizeBytes };
}

async function* hashed(tar: Readable, hash: Hash): AsyncGenerator<Buffer, void> {
  for await (const chunk of tar as AsyncIterable<Buffer>) {
    hash.update(chunk);
    yield chunk;
  }
}

/**
 * Makes the files of trusted or hostile entries in a directory, which may hold others already: what is in the way is
 * replaced, directories are merged, and nothing outside is touched. Contents must not be on disk.
 * @throws ToolError LAYER_INVALID, LAYER_ID_UNMAPPED, LAYER_APPLY_FAILED
 */
export async function applyEntries(
  launcher: Launcher,
  entries: AsyncIterable<Entry>,
  directory: string,
  options: CallOptions & { readonly userXattrs: boolean },
): Promise<ApplyReport> {
  await using process = new ApplyProcess(launcher, directory, options);
  for await (const entry of entries) await process.apply(entry);
  return await process.finish();
}
