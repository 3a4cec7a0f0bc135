import { ToolError } from '../core/index.ts';

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

/** Powers of 1024, as Docker reads `512m`, `2g`, `64KiB`; a bare number is bytes. */
const factors: Readonly<Record<string, number>> = { '': 1, k: 1024, m: 1024 ** 2, g: 1024 ** 3, t: 1024 ** 4 };

/**
 * Bytes of a size as a flag has it.
 * @throws ToolError USAGE_FLAG_VALUE
 */
export function parseSize(text: string, flag: string): number {
  const [, amount = '', unit = ''] = /^(\d+(?:\.\d+)?) ?([kmgt]?)(?:i?b)?$/i.exec(text) ?? [];
  const bytes = Math.floor(Number(amount) * (factors[unit.toLowerCase()] ?? 1));
  if (amount !== '' && Number.isSafeInteger(bytes)) return bytes;
  throw new ToolError('USAGE_FLAG_VALUE', `${flag} ${JSON.stringify(text)} is not a size`, {
    hint: `write ${flag} 512m or ${flag} 2g`,
  });
}
