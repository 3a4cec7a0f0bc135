import type { CallOptions } from '../../core/index.ts';
import { type ByteString, type Entry, type Launcher, scanListed } from '../../runtime/index.ts';

/** Files whose attributes are asked for at once. */
const groupSize = 1000;

/**
 * Entries of a folder with those of their extended attributes that are content: `user.*` and capabilities. Access
 * control lists and labels of a security module belong to the machine.
 */
export async function* withXattrs(
  entries: Iterable<Entry>,
  launcher: Launcher,
  folder: string,
  options: CallOptions = {},
): AsyncGenerator<Entry, void> {
  let group: Entry[] = [];
  for (const entry of entries) {
    group.push(entry);
    if (group.length < groupSize) continue;
    yield* await annotated(group, launcher, folder, options);
    group = [];
  }
  yield* await annotated(group, launcher, folder, options);
}

async function annotated(
  group: readonly Entry[],
  launcher: Launcher,
  folder: string,
  options: CallOptions,
): Promise<Entry[]> {
  const found = new Map<ByteString, ReadonlyMap<string, Buffer>>();
  const paths = group.filter(({ type }) => type === 'file' || type === 'directory').map(({ path }) => path);
  for await (const record of scanListed(launcher, folder, paths, options)) {
    const kept = new Map([...record.xattrs].filter(([name]) => isContent(name)));
    if (kept.size > 0) found.set(record.path, kept);
  }
  return group.map((entry) => {
    const xattrs = found.get(entry.path);
    return xattrs === undefined ? entry : ({ ...entry, xattrs } as Entry);
  });
}

function isContent(name: string): boolean {
  return name === 'security.capability' || (name.startsWith('user.') && !name.startsWith('user.overlay.'));
}
