import path from 'node:path';
import { findByteSize } from '../../core/index.ts';
import { quoted } from './problems.ts';
import type { Complaint } from './schema.ts';

/** A place in the sandbox; relative ones are below the step's working directory. */
export function checkMountPath(text: string): Complaint {
  if (text === '') return 'this path is empty';
  return path.posix.resolve('/', text) === '/' && text.startsWith('/')
    ? 'the whole root cannot be mounted over'
    : undefined;
}

/** What a bind shows: one path, without wildcards, that stays inside what it is taken from. */
export function checkSourcePath(text: string): Complaint {
  if (text === '') return 'this path is empty; write . for everything';
  return staysInside(text) ? undefined : `${quoted(text)} leads out of what is mounted`;
}

/** Whether a path that counts as relative never leaves where it starts. */
export function staysInside(text: string): boolean {
  let depth = 0;
  for (const part of text.split('/')) {
    if (part === '..') depth--;
    else if (part !== '' && part !== '.') depth++;
    if (depth < 0) return false;
  }
  return true;
}

/** Often the directory itself. */
export function checkCacheId(text: string): Complaint {
  if (/^[A-Za-z0-9/_.][A-Za-z0-9/_.:@+-]{0,254}$/.test(text)) return undefined;
  return `${quoted(text)} cannot be the id of a cache; use letters, digits and / _ . : @ + -`;
}

/** It names a file below /run/secrets and stands in a flag, so it has no / and no comma. */
export function checkSecretId(text: string): Complaint {
  if (/^[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}$/.test(text)) return undefined;
  return `${quoted(text)} cannot be an id; start with a letter or digit, go on with letters, digits, _ . and -`;
}

/** Bytes of `64m`, `1.5g`, `65536`. Undefined for anything else, and for nothing. */
export function findSizeBytes(text: string): number | undefined {
  return findByteSize(text) || undefined;
}

export function checkSize(text: string): Complaint {
  return findSizeBytes(text) === undefined
    ? `${quoted(text)} is not a size; write 64m, 1g or a number of bytes`
    : undefined;
}

export function checkSizeNumber(value: number, source: string): Complaint {
  return value > 0 ? undefined : `${quoted(source)} is not a size; write "64m", "1g" or a number of bytes`;
}
