import { ToolError } from '../core/index.ts';
import { type Compression, checkCompression } from '../registry/index.ts';
import type { FlagTable, FlagValues } from './command.ts';

/** How layers are packed on their way to a registry. */
export const compressionFlags = {
  compression: {
    kind: 'value',
    placeholder: 'ALGORITHM',
    choices: ['gzip', 'zstd', 'none'],
    summary: 'How layers that were built here are packed: gzip (default), zstd or none',
  },
  'compression-format': {
    kind: 'value',
    placeholder: 'ALGORITHM',
    choices: ['gzip', 'zstd', 'none'],
    summary: 'The same as --compression',
  },
  'compression-level': { kind: 'value', placeholder: 'N', summary: 'gzip 1 to 9 (default: 6), zstd 1 to 19 (3)' },
  'force-compression': {
    kind: 'switch',
    summary: 'Pack layers anew that come packed otherwise; without it pulled layers keep their bytes',
  },
} as const satisfies FlagTable;

/** @throws ToolError USAGE_COMPRESSION */
export function compressionOf(flags: FlagValues<typeof compressionFlags>): Compression {
  const { compression, 'compression-format': same, 'compression-level': level } = flags;
  if (compression !== undefined && same !== undefined && compression !== same) {
    throw new ToolError('USAGE_COMPRESSION', `--compression ${compression} and --compression-format ${same} differ`);
  }
  const algorithm = (compression ?? same ?? 'gzip') as Compression['algorithm'];
  const wanted: Compression = {
    algorithm,
    ...(level === undefined ? {} : { level: levelOf(level) }),
    ...(flags['force-compression'] ? { force: true } : {}),
  };
  checkCompression(wanted);
  return wanted;
}

function levelOf(text: string): number {
  if (/^\d{1,2}$/.test(text)) return Number(text);
  throw new ToolError('USAGE_COMPRESSION', `--compression-level ${JSON.stringify(text)} is no number`);
}
