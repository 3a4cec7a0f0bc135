import { mediaTypes, ToolError } from '../../core/index.ts';
import { gzipped } from './deflate.ts';
import { zstdCompressed } from './zstd.ts';

/** How layers are to be packed where they go. */
export interface Compression {
  readonly algorithm: 'gzip' | 'zstd' | 'none';
  /** gzip: 1 to 9; zstd: 1 to 19. The algorithm's usual one unless said. */
  readonly level?: number;
  /** Also layers that come compressed are packed so; without it they keep their bytes. */
  readonly force?: boolean;
}

export const defaultCompression: Compression = { algorithm: 'gzip' };

const levels = { gzip: { usual: 6, highest: 9 }, zstd: { usual: 3, highest: 19 } } as const;

/**
 * That the algorithm has such a level.
 * @throws ToolError USAGE_COMPRESSION
 */
export function checkCompression({ algorithm, level }: Compression): void {
  if (level === undefined) return;
  if (algorithm === 'none') {
    throw new ToolError('USAGE_COMPRESSION', 'layers that are not compressed have no compression level');
  }
  const { highest } = levels[algorithm];
  if (Number.isSafeInteger(level) && level >= 1 && level <= highest) return;
  throw new ToolError('USAGE_COMPRESSION', `${algorithm} has no level ${level}`, {
    hint: `its levels are 1 to ${highest}; ${levels[algorithm].usual} is the usual one`,
  });
}

/** Packs a tar. The same bytes whenever and wherever it is done, however the tar arrives. */
export function compress(
  tar: AsyncIterable<Buffer>,
  { algorithm, level }: Compression,
): AsyncGenerator<Buffer> | AsyncIterable<Buffer> {
  switch (algorithm) {
    case 'gzip':
      return gzipped(tar, level ?? levels.gzip.usual);
    case 'zstd':
      return zstdCompressed(tar, level ?? levels.zstd.usual);
    case 'none':
      return tar;
  }
}

/** Two layers of one diffId and equal settings have equal bytes. */
export function settingsText({ algorithm, level }: Compression): string {
  return algorithm === 'none' ? algorithm : `${algorithm}-${level ?? levels[algorithm].usual}`;
}

export function layerTypeOf({ algorithm }: Compression): string {
  switch (algorithm) {
    case 'gzip':
      return mediaTypes.layerGzip;
    case 'zstd':
      return mediaTypes.layerZstd;
    case 'none':
      return mediaTypes.layer;
  }
}
