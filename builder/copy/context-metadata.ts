import { readFileSync, type Stats } from 'node:fs';
import type { ByteString, FileTime } from '../../runtime/index.ts';
import type { Preserved } from '../plan/plan.ts';
import { unknownOwner } from './context-errors.ts';

interface Owner {
  readonly uid: number;
  readonly gid: number;
}

/** A range of ids: inside this user namespace, outside it, how many. */
interface IdRange {
  readonly inside: number;
  readonly outside: number;
  readonly count: number;
}

/** Files of a context get one constant time: it says nothing about their content. */
const contextTime: FileTime = { seconds: 1, nanoseconds: 0 };
const root: Owner = { uid: 0, gid: 0 };
/** What the kernel shows for ids that a user namespace does not know. */
const overflowId = 65534;

/** What of the metadata of a context's files counts. */
export class ContextMetadata {
  readonly #tree: string;
  readonly #keepsMode: boolean;
  readonly #keepsTime: boolean;
  /** Undefined when owners do not count. */
  readonly #ids: { readonly uid: readonly IdRange[]; readonly gid: readonly IdRange[] } | undefined;

  constructor(tree: string, preserve: readonly Preserved[]) {
    this.#tree = tree;
    this.#keepsMode = preserve.includes('mode');
    this.#keepsTime = preserve.includes('time');
    this.#ids = preserve.includes('owner') ? { uid: readIdMap('uid'), gid: readIdMap('gid') } : undefined;
  }

  mode({ mode }: Stats): number {
    if (this.#keepsMode) return mode & 0o7777;
    const isDirectory = (mode & 0o170000) === 0o040000;
    return isDirectory || (mode & 0o111) !== 0 ? 0o755 : 0o644;
  }

  /**
   * The ids that the file has on this machine, whoever builds: an ordinary user's build sees its own files as root's.
   * @throws ToolError COPY_OWNER_UNKNOWN
   */
  owner(path: ByteString, stats: Stats): Owner {
    if (this.#ids === undefined) return root;
    const [uid, gid] = [outsideId(this.#ids.uid, stats.uid), outsideId(this.#ids.gid, stats.gid)];
    if (uid === undefined || gid === undefined) throw unknownOwner(path, this.#tree);
    return { uid, gid };
  }

  time({ mtimeMs }: Stats): FileTime {
    return this.#keepsTime ? { seconds: Math.floor(mtimeMs / 1000), nanoseconds: 0 } : contextTime;
  }
}

/** user_namespaces(7), "User and group ID mappings" */
function readIdMap(kind: 'uid' | 'gid'): readonly IdRange[] {
  const lines = readFileSync(`/proc/self/${kind}_map`, 'latin1').trim().split('\n');
  return lines.map((line) => {
    const [inside = 0, outside = 0, count = 0] = line.trim().split(/\s+/).map(Number);
    return { inside, outside, count };
  });
}

function outsideId(ranges: readonly IdRange[], id: number): number | undefined {
  const isWhole = ranges.length === 1 && ranges[0]?.count === 0xffffffff;
  // The same number may also be a mapped id's; nobody can tell.
  if (!isWhole && id === overflowId) return undefined;
  const range = ranges.find(({ inside, count }) => inside <= id && id - inside < count);
  return range === undefined ? undefined : range.outside + (id - range.inside);
}
