import { findByteSize, ToolError } from '../core/index.ts';

const units = ['B', 'kB', 'MB', 'GB', 'TB', 'PB'];

/** Bytes as Docker writes them: powers of 1000, three digits. */
export function formatSize(bytes: number): string {
  let value = bytes;
  let unit = 0;
  while (value >= 999.5 && unit < units.length - 1) {
    value /= 1000;
    unit++;
  }
  return `${Number(value.toPrecision(3))}${units[unit]}`;
}

/**
 * Bytes of a size as a flag has it.
 * @throws ToolError USAGE_FLAG_VALUE
 */
export function parseSize(text: string, flag: string): number {
  const bytes = findByteSize(text);
  if (bytes !== undefined) return bytes;
  throw new ToolError('USAGE_FLAG_VALUE', `${flag} ${JSON.stringify(text)} is not a size`, {
    hint: `write ${flag} 512m or ${flag} 2g`,
  });
}
