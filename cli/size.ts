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
