import type { HttpResponse } from './http.ts';

/** How long is waited for what, in milliseconds, and how often something is tried. */
export interface HttpTiming {
  /** Including the first. */
  readonly attempts: number;
  /** Before the second attempt; doubled for each further one, less up to half of it by chance. */
  readonly backoffMs: number;
  readonly maxBackoffMs: number;
  /** Who asks for a longer rest (`Retry-After`) is not waited for. */
  readonly maxRetryAfterMs: number;
  /** Until a connection stands. */
  readonly connectMs: number;
  /** Silence that ends an exchange, however long it may take in all. */
  readonly stallMs: number;
  /** Silence after a whole body was sent: registries hash it, and move it to its place, before they answer. */
  readonly answerMs: number;
}

export const defaultTiming: HttpTiming = {
  attempts: 5,
  backoffMs: 250,
  maxBackoffMs: 10_000,
  maxRetryAfterMs: 60_000,
  connectMs: 30_000,
  stallMs: 60_000,
  answerMs: 300_000,
};

/** What may be different in a moment. */
export const retryableStatuses: ReadonlySet<number> = new Set([408, 425, 429, 500, 502, 503, 504]);

/** @param random from 0 to 1, the latter excluded: many clients that failed together do not return together */
export function backoffMs(attempt: number, timing: HttpTiming, random: () => number): number {
  const whole = Math.min(timing.backoffMs * 2 ** (attempt - 1), timing.maxBackoffMs);
  return whole / 2 + (whole / 2) * random();
}

/** `Retry-After` in seconds or as a date, which is read against the server's own clock. RFC 9110 §10.2.3 */
export function retryAfterMs(response: Pick<HttpResponse, 'headers'>): number | undefined {
  const after = response.headers.get('retry-after')?.trim() ?? '';
  if (/^\d{1,9}$/.test(after)) return Number(after) * 1000;
  const wanted = Date.parse(after) - Date.parse(response.headers.get('date') ?? '');
  return Number.isFinite(wanted) ? Math.max(wanted, 0) : undefined;
}
