import { isDeepStrictEqual } from 'node:util';
import { envTable } from '../../builder/index.ts';
import type { ContainerDefaults } from '../../core/index.ts';
import type { Reason } from './reason.ts';

/** What containers of an image get once it lies on another base. */
export interface MergedConfig {
  readonly config: ContainerDefaults;
  /** Why that would be another program than before. */
  readonly reasons: readonly Reason[];
  /** Sentences about what changes. */
  readonly notes: readonly string[];
}

/** Values that decide what runs, as whom, and where. */
const decisive = ['User', 'WorkingDir', 'Entrypoint', 'Cmd', 'Shell', 'StopSignal'] as const;
const tables = ['Labels', 'ExposedPorts', 'Volumes'] as const;
/** Variables that say where programs and libraries are found. */
const searchVariable = /^(?:PATH|LD_\w+|\w*(?:PATH|HOME))$/;
const reasonCode = 'config';

/**
 * Merges three ways: what the image has from its old base becomes what the new base has; what it has of its own stays.
 * Refused is what would change how the image runs: a value of `decisive` that it took over; a variable that it took over
 * and that is gone, or says where programs are; a variable that it made out of the base's.
 */
export function mergeConfig(old: ContainerDefaults, image: ContainerDefaults, fresh: ContainerDefaults): MergedConfig {
  const env = mergeEnv(envTable(old.Env), envTable(image.Env), envTable(fresh.Env));
  const reasons: Reason[] = [...env.reasons];
  const merged: Record<string, unknown> = { ...image };
  for (const key of decisive) {
    if (isDeepStrictEqual(old[key], fresh[key]) || !isDeepStrictEqual(old[key], image[key])) continue;
    // A base's arguments mean nothing to an entrypoint of the image's own.
    if (key === 'Cmd' && image.Entrypoint !== undefined && !isDeepStrictEqual(image.Entrypoint, old.Entrypoint))
      continue;
    reasons.push({
      code: reasonCode,
      message: `${key} is the base's, and changes: ${shown(old[key])} → ${shown(fresh[key])}`,
    });
  }
  for (const key of tables) assign(merged, key, mergeTable(old[key], image[key], fresh[key]));
  if (isDeepStrictEqual(old.Healthcheck, image.Healthcheck)) assign(merged, 'Healthcheck', fresh.Healthcheck);
  assign(merged, 'Env', env.lines.length === 0 ? undefined : env.lines);
  return { config: merged as ContainerDefaults, reasons, notes: env.notes };
}

type Table = Readonly<Record<string, unknown>>;

/** Keys as in the image, the new base's own after them. */
export function mergeTable(old: Table = {}, image: Table = {}, fresh: Table = {}): Table | undefined {
  const of = (table: Table, key: string) => (Object.hasOwn(table, key) ? table[key] : undefined);
  const keys = [...new Set([...Object.keys(image), ...Object.keys(fresh)])];
  const entries = keys.flatMap((key): [string, unknown][] => {
    const isOwn = !isDeepStrictEqual(of(old, key), of(image, key));
    const value = isOwn ? of(image, key) : of(fresh, key);
    return value === undefined ? [] : [[key, value]];
  });
  return entries.length === 0 ? undefined : Object.fromEntries(entries);
}

function mergeEnv(
  old: Readonly<Record<string, string>>,
  image: Readonly<Record<string, string>>,
  fresh: Readonly<Record<string, string>>,
) {
  const merged = mergeTable(old, image, fresh) as Readonly<Record<string, string>> | undefined;
  const reasons: Reason[] = [];
  const notes: string[] = [];
  for (const name of Object.keys(old).sort()) {
    const [was, own, is] = [old, image, fresh].map((table) => (Object.hasOwn(table, name) ? table[name] : undefined));
    if (was === is || was === undefined || own === undefined) continue;
    if (own !== was) {
      if (was.length > 1 && own.includes(was)) {
        reasons.push({
          code: reasonCode,
          message: `${name} was made out of the base's, which changes: ${shown(was)} → ${shown(is)}`,
        });
      } else notes.push(`${name} stays ${shown(own)}: the image sets it itself`);
    } else if (is === undefined) {
      reasons.push({ code: reasonCode, message: `${name}=${was} is the base's, and the new base does not have it` });
    } else if (searchVariable.test(name)) {
      reasons.push({ code: reasonCode, message: `${name} is the base's, and changes: ${shown(was)} → ${shown(is)}` });
    } else notes.push(`${name} changes with the base: ${shown(was)} → ${shown(is)}`);
  }
  const lines = Object.entries(merged ?? {}).map(([name, value]) => `${name}=${value}`);
  return { lines, reasons, notes };
}

function assign(record: Record<string, unknown>, key: string, value: unknown): void {
  if (value === undefined) delete record[key];
  else record[key] = value;
}

function shown(value: unknown): string {
  return value === undefined ? 'nothing' : typeof value === 'string' ? value : JSON.stringify(value);
}
