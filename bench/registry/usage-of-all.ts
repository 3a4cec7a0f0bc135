import { type Usage, usageOf } from '../engine/usage.ts';
import type { Command } from '../tool.ts';

/** What commands took, one after the other: times add up, the peak is that of the largest. */
export async function usageOfAll(commands: readonly Command[]): Promise<Usage> {
  let all: Usage = { wallMs: 0, cpuMs: 0, peakBytes: 0 };
  for (const command of commands) {
    const { wallMs, cpuMs, peakBytes } = await usageOf(command);
    all = {
      wallMs: all.wallMs + wallMs,
      cpuMs: all.cpuMs + cpuMs,
      peakBytes: Math.max(all.peakBytes, peakBytes),
    };
  }
  return all;
}
