const steps: readonly (readonly [string, number])[] = [
  ['year', 365 * 86_400],
  ['month', 30 * 86_400],
  ['week', 7 * 86_400],
  ['day', 86_400],
  ['hour', 3_600],
  ['minute', 60],
];

/** How long ago, in the one unit that says most: `3 weeks ago`. */
export function formatAge(thenMs: number, nowMs: number): string {
  const elapsed = Math.max(0, Math.floor((nowMs - thenMs) / 1000));
  for (const [unit, size] of steps) {
    const count = Math.floor(elapsed / size);
    if (count >= 1) return `${count} ${unit}${count === 1 ? '' : 's'} ago`;
  }
  return `${elapsed} second${elapsed === 1 ? '' : 's'} ago`;
}
