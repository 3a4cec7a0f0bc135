/** `0.5s`, as every line of progress ends. */
export function seconds(durationMs: number): string {
  return `${(Math.max(0, durationMs) / 1000).toFixed(1)}s`;
}
