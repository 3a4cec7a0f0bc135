/** Time is a parameter: nothing below cli/ asks the system for it. */
export interface Clock {
  /** Milliseconds since the epoch. */
  now(): number;
}

export function fixedClock(ms: number): Clock {
  return { now: () => ms };
}
