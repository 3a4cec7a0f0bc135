import path from 'node:path';
import type { CacheDestination, CachePlace } from '../builder/index.ts';
import { nearest, parseReference, ToolError } from '../core/index.ts';
import { booleanField, commaFields } from './comma-fields.ts';
import type { Context } from './context.ts';
import { nameForImage } from './image-names.ts';

const types = ['registry', 'local'] as const;
const elsewhere: Readonly<Record<string, string>> = {
  inline: 'images hold no cache: export one with --cache-to type=registry,ref=NAME',
  gha: 'use type=local with the cache action, or type=registry',
  s3: 'use type=local, and copy the folder',
  azblob: 'use type=local, and copy the folder',
};
const code = 'USAGE_CACHE';

/**
 * `--cache-from type=registry,ref=NAME`, `type=local,src=FOLDER`, or NAME alone.
 * @throws ToolError USAGE_CACHE, REFERENCE_INVALID
 */
export function cacheFromOf(texts: readonly string[], { folder }: Pick<Context, 'folder'>): CachePlace[] {
  return texts.map((text) => {
    if (!text.includes('=')) return { kind: 'registry', reference: parseReference(text) };
    const flag = '--cache-from';
    const fields = commaFields(text, { flag, keys: ['type', 'ref', 'src'], code });
    if (typeOf(text, flag, fields.get('type')) === 'local') {
      return { kind: 'local', folder: path.resolve(folder, needed(text, flag, 'src', fields.get('src'))) };
    }
    return { kind: 'registry', reference: parseReference(needed(text, flag, 'ref', fields.get('ref'))) };
  });
}

/**
 * `--cache-to type=registry,ref=NAME` or `type=local,dest=FOLDER`, with `mode=min|max`, `compression=gzip|uncompressed`,
 * `ignore-error=true`; or NAME alone.
 * @throws ToolError USAGE_CACHE, REFERENCE_INVALID
 */
export function cacheToOf(texts: readonly string[], { folder }: Pick<Context, 'folder'>): CacheDestination[] {
  return texts.map((text) => {
    const usual = { mode: 'min', compression: 'gzip', ignoreError: false } as const;
    if (!text.includes('=')) return { ...usual, place: { kind: 'registry', reference: nameForImage(text) } };
    const flag = '--cache-to';
    const keys = ['type', 'ref', 'dest', 'mode', 'compression', 'ignore-error'] as const;
    const fields = commaFields(text, { flag, keys, code });
    const isLocal = typeOf(text, flag, fields.get('type')) === 'local';
    const place: CachePlace = isLocal
      ? { kind: 'local', folder: path.resolve(folder, needed(text, flag, 'dest', fields.get('dest'))) }
      : { kind: 'registry', reference: nameForImage(needed(text, flag, 'ref', fields.get('ref'))) };
    const [mode, compression] = [fields.get('mode') ?? 'min', fields.get('compression') ?? 'gzip'];
    const ignoreError = booleanField(fields.get('ignore-error') ?? 'false');
    if (mode !== 'min' && mode !== 'max') throw wrong(text, flag, `there is no mode ${mode}`, 'it is min or max');
    if (compression !== 'gzip' && compression !== 'uncompressed') {
      throw wrong(text, flag, `there is no compression ${compression}`, 'it is gzip or uncompressed');
    }
    if (ignoreError === undefined) throw wrong(text, flag, 'ignore-error is neither true nor false');
    return { place, mode, compression, ignoreError };
  });
}

function typeOf(text: string, flag: string, given = ''): (typeof types)[number] {
  const type = types.find((known) => known === given);
  if (type !== undefined) return type;
  const near = nearest(given, types);
  const hint = elsewhere[given] ?? (near === undefined ? 'types are registry and local' : `did you mean type=${near}?`);
  throw wrong(text, flag, given === '' ? 'it has no type' : `there is no type ${given}`, hint);
}

function needed(text: string, flag: string, key: string, value: string | undefined): string {
  if (value !== undefined && value !== '') return value;
  throw wrong(text, flag, `it has no ${key}`, `add ${key}=…`);
}

function wrong(text: string, flag: string, problem: string, hint?: string): ToolError {
  return new ToolError(code, `${flag} ${JSON.stringify(text)}: ${problem}`, { hint });
}
