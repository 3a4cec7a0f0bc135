import { asRecord } from './descriptor.ts';
import { type DiffId, parseDiffId } from './digest.ts';
import { ToolError } from './errors.ts';
import { type Platform, parsePlatformObject } from './platform.ts';

/** What a container gets unless told otherwise. image-spec, config.md#properties (keys are capitalised there) */
export interface ContainerDefaults {
  readonly User?: string;
  readonly ExposedPorts?: Readonly<Record<string, object>>;
  readonly Env?: readonly string[];
  readonly Entrypoint?: readonly string[];
  readonly Cmd?: readonly string[];
  readonly Volumes?: Readonly<Record<string, object>>;
  readonly WorkingDir?: string;
  readonly Labels?: Readonly<Record<string, string>>;
  readonly StopSignal?: string;
  /** Docker's extension; nanoseconds. */
  readonly Healthcheck?: Readonly<Record<string, unknown>>;
  readonly Shell?: readonly string[];
}

export interface HistoryEntry {
  readonly created?: string;
  readonly created_by?: string;
  readonly comment?: string;
  readonly empty_layer?: boolean;
}

/** image-spec, config.md */
export interface ImageConfig extends Platform {
  readonly created?: string;
  readonly config: ContainerDefaults;
  readonly diffIds: readonly DiffId[];
  readonly history: readonly HistoryEntry[];
}

/** Bigger configs are refused unread. */
export const maxConfigBytes = 4 * 1024 * 1024;

/**
 * Parses an image configuration out of hostile bytes.
 * @throws ToolError CONFIG_INVALID, DESCRIPTOR_INVALID, DIGEST_INVALID, PLATFORM_INVALID
 */
export function parseImageConfig(bytes: Uint8Array): ImageConfig {
  if (bytes.byteLength > maxConfigBytes)
    throw new ToolError('CONFIG_INVALID', `an image config of ${bytes.byteLength} bytes is over the limit`);
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch (cause) {
    throw new ToolError('CONFIG_INVALID', 'the image config is not JSON', { cause });
  }
  const document = asRecord(value, 'an image config');
  const rootfs = asRecord(document.rootfs ?? {}, 'rootfs');
  return {
    ...parsePlatformObject(document),
    ...(typeof document.created === 'string' ? { created: document.created } : {}),
    config: parseDefaults(document.config),
    diffIds: (Array.isArray(rootfs.diff_ids) ? rootfs.diff_ids : []).map(parseDiffId),
    history: Array.isArray(document.history) ? document.history.map((entry) => parseHistory(entry)) : [],
  };
}

/** The bytes of a config: fixed key order, so that equal configs have equal digests. */
export function serializeImageConfig(image: ImageConfig): Uint8Array {
  const { created, architecture, os, variant, config, diffIds, history } = image;
  const document = {
    ...(created === undefined ? {} : { created }),
    architecture,
    os,
    ...(variant === undefined ? {} : { variant }),
    config: orderedDefaults(config),
    rootfs: { type: 'layers', diff_ids: diffIds },
    history: history.map((entry) => ({
      ...(entry.created === undefined ? {} : { created: entry.created }),
      ...(entry.created_by === undefined ? {} : { created_by: entry.created_by }),
      ...(entry.comment === undefined ? {} : { comment: entry.comment }),
      ...(entry.empty_layer ? { empty_layer: true } : {}),
    })),
  };
  return new TextEncoder().encode(JSON.stringify(document));
}

function parseDefaults(value: unknown): ContainerDefaults {
  if (value === undefined || value === null) return {};
  const record = asRecord(value, 'config');
  return {
    ...text('User'),
    ...table('ExposedPorts'),
    ...texts('Env'),
    ...texts('Entrypoint'),
    ...texts('Cmd'),
    ...table('Volumes'),
    ...text('WorkingDir'),
    ...table('Labels'),
    ...text('StopSignal'),
    ...table('Healthcheck'),
    ...texts('Shell'),
  };

  function text(key: string): Record<string, string> {
    const found = record[key];
    if (found === undefined || found === null || found === '') return {};
    if (typeof found !== 'string') throw wrong(key);
    return { [key]: found };
  }
  function texts(key: string): Record<string, string[]> {
    const found = record[key];
    if (found === undefined || found === null) return {};
    if (!Array.isArray(found) || found.some((item) => typeof item !== 'string')) throw wrong(key);
    return { [key]: found };
  }
  function table(key: string): Record<string, Record<string, never>> {
    const found = record[key];
    if (found === undefined || found === null) return {};
    return { [key]: asRecord(found, key) as Record<string, never> };
  }
  function wrong(key: string): ToolError {
    return new ToolError('CONFIG_INVALID', `the image config's ${key} has the wrong type`);
  }
}

function parseHistory(value: unknown): HistoryEntry {
  const { created, created_by, comment, empty_layer } = asRecord(value, 'a history entry');
  return {
    ...(typeof created === 'string' ? { created } : {}),
    ...(typeof created_by === 'string' ? { created_by } : {}),
    ...(typeof comment === 'string' ? { comment } : {}),
    ...(empty_layer === true ? { empty_layer } : {}),
  };
}

function orderedDefaults(config: ContainerDefaults): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(config)
      .filter(([, value]) => value !== undefined)
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([key, value]) => [key, isTable(value) ? sorted(value) : value]),
  );
}

function isTable(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function sorted(table: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(table).sort(([a], [b]) => (a < b ? -1 : 1)));
}
