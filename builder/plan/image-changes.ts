import type { ImageContent } from '../buildfile/buildfile-schema.ts';
import { findDurationMs, findPorts } from '../buildfile/formats.ts';
import type { Command, Healthcheck, ImageChanges } from './plan.ts';

/** `[image]` as the plan has it. */
export function imageChanges(content: ImageContent): ImageChanges {
  const { stop_signal: stopSignal, healthcheck, ports, ...same } = content;
  return {
    ...same,
    ...(ports === undefined ? {} : { ports: ports.flatMap((text) => findPorts(text) ?? []) }),
    ...(stopSignal === undefined ? {} : { stopSignal }),
    ...(healthcheck?.cmd === undefined ? {} : { healthcheck: healthcheckOf(healthcheck.cmd, healthcheck) }),
  };
}

/** A string is a script, an array is an argv. */
export function commandOf(value: string | readonly string[]): Command {
  return typeof value === 'string' ? { kind: 'script', script: value } : { kind: 'argv', argv: value };
}

function healthcheckOf(
  cmd: string | readonly string[],
  { interval, timeout, start_period: startPeriod, retries }: NonNullable<ImageContent['healthcheck']>,
): Healthcheck {
  return {
    cmd: commandOf(cmd),
    ...duration('intervalMs', interval),
    ...duration('timeoutMs', timeout),
    ...duration('startPeriodMs', startPeriod),
    ...(retries === undefined ? {} : { retries }),
  };
}

function duration(key: string, text: string | undefined): Readonly<Record<string, number>> {
  const found = text === undefined ? undefined : findDurationMs(text);
  return found === undefined ? {} : { [key]: found };
}
