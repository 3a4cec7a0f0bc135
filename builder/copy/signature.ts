import { createHash } from 'node:crypto';
import { type Digest, parseDigest } from '../../core/index.ts';
import type { Entry } from '../../runtime/index.ts';
import { isRacy } from './file-digests.ts';
import type { Match } from './select.ts';

/** What a selection looks like from outside: equal signatures of one folder mean equal content. */
export interface Signature {
  readonly digest: Digest;
  /** False when a file is so young that it may change without its signature changing. */
  readonly isSettled: boolean;
}

/** mode, uid, gid, mtime, number of attributes; of a file also size, dev, inode, and its times to the full. */
const numbersPerEntry = 10;

/** All that a listing says but the files' content, for which their stamps stand. */
export function signatureOf(matches: readonly Match[], nowMs: number): Signature {
  const count = matches.reduce((sum, match) => sum + match.entries.length, 0);
  const numbers = new Float64Array(count * numbersPerEntry);
  const texts: string[] = [];
  let isSettled = true;
  let at = 0;
  for (const match of matches) {
    texts.push('match', match.isDirectory ? 'directory' : 'file', match.name, String(match.entries.length));
    for (const entry of match.entries) {
      texts.push(entry.type, entry.path);
      isSettled = addEntry(entry, numbers, at, texts, nowMs) && isSettled;
      at += numbersPerEntry;
    }
  }
  // No name holds a zero byte.
  const hash = createHash('sha256').update(texts.join('\0')).update('\0').update(numbers);
  return { digest: parseDigest(`sha256:${hash.digest('hex')}`), isSettled };
}

function addEntry(entry: Entry, numbers: Float64Array, at: number, texts: string[], nowMs: number): boolean {
  if (entry.type === 'whiteout' || entry.type === 'opaque') return true;
  numbers[at] = entry.mode;
  numbers[at + 1] = entry.uid;
  numbers[at + 2] = entry.gid;
  numbers[at + 3] = entry.mtime.seconds;
  numbers[at + 9] = entry.xattrs?.size ?? 0;
  for (const [name, value] of entry.xattrs ?? []) texts.push(name, value.toString('base64'));
  if (entry.type === 'symlink' || entry.type === 'hardlink') texts.push(entry.target);
  if (entry.type !== 'file') return true;
  const stamp = entry.content.kind === 'disk' ? entry.content.stamp : undefined;
  if (stamp === undefined) return false;
  numbers[at + 4] = entry.size;
  numbers[at + 5] = stamp.dev;
  numbers[at + 6] = stamp.ino;
  numbers[at + 7] = stamp.mtimeMs;
  numbers[at + 8] = stamp.ctimeMs;
  return !isRacy(stamp, nowMs);
}
