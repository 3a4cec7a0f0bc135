import { readFileSync } from 'node:fs';
import { errorCode } from '../core/index.ts';

/** Ids that a user may map into a user namespace. */
export interface SubordinateRange {
  readonly start: number;
  readonly count: number;
}

/** The kernel takes at most 340 lines in an id map; one of them is the user's own. user_namespaces(7) */
const maxRanges = 339;

/** The ranges of a user in /etc/subuid or /etc/subgid; none when the file is not there. subuid(5) */
export function readSubordinateRanges(file: string, userName: string, uid: number): readonly SubordinateRange[] {
  try {
    return parseSubordinateRanges(readFileSync(file, 'utf8'), userName, uid);
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return [];
    throw error;
  }
}

/** Lines are `user:start:count`, where the user is a name or a number; others and broken ones are passed over. */
export function parseSubordinateRanges(text: string, userName: string, uid: number): readonly SubordinateRange[] {
  return text
    .split('\n')
    .map((line) => /^([^:]+):(\d{1,10}):(\d{1,10})\s*$/.exec(line))
    .filter((match) => match !== null)
    .filter(([, user]) => user === userName || user === String(uid))
    .map(([, , start, count]) => ({ start: Number(start), count: Number(count) }))
    .filter(({ start, count }) => start > 0 && count > 0 && start + count <= 0xffff_ffff)
    .slice(0, maxRanges);
}
