import { lstat, mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { ToolError } from '../../core/index.ts';
import {
  applyLayer,
  type ByteString,
  byteString,
  bytesOf,
  type Entry,
  encodeLayer,
  type SandboxMount,
} from '../../runtime/index.ts';
import { fileChanged } from '../copy/context-errors.ts';
import type { Match } from '../copy/select.ts';
import type { BuildContext, StepScope } from '../engine/build-context.ts';
import { type CopySelection, openSelection, type SelectionRequest } from '../engine/copy-selection.ts';
import { type OpenSource, openSource } from '../engine/open-source.ts';
import type { Mount } from '../plan/plan.ts';
import { absoluteDestination } from './destinations.ts';

type BindMount = Extract<Mount, { kind: 'bind' }>;

/** A bind whose content is known, and not opened yet. */
export interface FoundBind {
  readonly mount: BindMount;
  /** Where it is seen, absolute. */
  readonly to: string;
  readonly selection: CopySelection;
}

/** A bind whose files are at hand. */
export interface OpenBind {
  readonly mount: BindMount;
  readonly source: OpenSource;
  /** Of a folder on this machine: all files. */
  readonly match: Match | undefined;
  /** In the root file system it comes from, without links. */
  readonly path: ByteString;
  readonly isFolder: boolean;
}

/**
 * Finds what the binds of a step show, as a copy would: of a context without what the ignore file drops, modes and
 * times as in a copy; of a stage or an image as it is there, with its owners.
 * @throws ToolError COPY_SOURCE_NOT_FOUND, COPY_SOURCE_OUTSIDE, COPY_SPECIAL_FILE; as bases and stages do
 */
export async function findBinds(
  context: BuildContext,
  mounts: readonly Mount[],
  cwd: string,
  scope: StepScope,
): Promise<readonly FoundBind[]> {
  const binds: FoundBind[] = [];
  for (const mount of mounts) {
    if (mount.kind !== 'bind') continue;
    const selection = await openSelection(context, requestOf(mount), scope);
    binds.push({ mount, to: absoluteDestination(mount.to, cwd), selection });
  }
  return binds;
}

/** Unpacks what is needed of a bind. */
export async function openBind(
  context: BuildContext,
  { mount, selection }: FoundBind,
  scope: StepScope,
): Promise<OpenBind> {
  const source = await openSource(context, mount.from, requestOf(mount), scope);
  if (source.snapshot === undefined) {
    const [match] = await selection.matches(scope);
    if (match === undefined) throw new TypeError('a source that is found is a match');
    return { mount, source, match, path: '' as ByteString, isFolder: match.isDirectory };
  }
  const at = await source.tree.resolve(byteString(mount.source));
  return { mount, source, match: undefined, path: at, isFolder: (await source.tree.typeOf(at)) === 'directory' };
}

function requestOf({ from, source }: BindMount): SelectionRequest {
  const isOnMachine = from.kind === 'context' || from.kind === 'folder';
  return {
    from,
    paths: [literally(source)],
    exclude: [],
    preserve: isOnMachine ? [] : ['mode', 'owner', 'time', 'xattrs'],
    parents: false,
    optional: false,
  };
}

/** A place inside a bind that another mount of the step is on. */
export interface InnerMountPoint {
  /** Relative to the bind. */
  readonly path: string;
  readonly isFolder: boolean;
}

/**
 * Makes a bind ready to be mounted. Of a stage or an image its own layers are shown; of a folder on this machine a
 * copy, so that the step sees exactly what its key says. What has to be undone is put on `held`.
 */
export async function prepareBind(
  context: BuildContext,
  bind: OpenBind,
  place: {
    readonly destination: string;
    /** Existing, empty, on the store's file system. */
    readonly folder: string;
    readonly inner: readonly InnerMountPoint[];
    readonly held: AsyncDisposableStack;
  },
  scope: StepScope,
): Promise<SandboxMount> {
  const { mount, source } = bind;
  const { destination, folder } = place;
  if (source.snapshot === undefined) {
    const copy = await copied(context, bind, folder, scope);
    for (const point of place.inner) await makeMountPoint(copy, point);
    return { kind: 'bind', source: copy, destination, readOnly: !mount.writable };
  }
  const text = bytesOf(bind.path).toString('utf8');
  if (byteString(text) !== bind.path) {
    throw new ToolError('COPY_SOURCE_UNREADABLE', `${mount.source} leads to a name that is not UTF-8`);
  }
  const common = {
    kind: 'overlay',
    destination,
    layers: source.snapshot.layers.map(({ directory }) => directory),
    source: text,
    isFolder: bind.isFolder,
  } as const;
  if (!mount.writable) return common;
  const snapshots = await context.workshop.snapshots();
  const { upper, work } = place.held.use(await snapshots.prepare(source.snapshot));
  return { ...common, writable: { upper, work } };
}

/** The selection as files of its own; gives where. */
async function copied(
  { workshop }: BuildContext,
  { match }: OpenBind,
  folder: string,
  scope: StepScope,
): Promise<string> {
  const { launcher, userXattrs } = workshop.options;
  try {
    await applyLayer(launcher, encodeLayer(below(match?.entries ?? []), scope), folder, { ...scope, userXattrs });
  } catch (error) {
    // The step could see other bytes than the key says, and its result be given to every later build with that key.
    if (error instanceof ToolError && error.code === 'LAYER_FILE_CHANGED') throw fileChanged(error.message, error);
    throw error;
  }
  return path.join(folder, copyName);
}

const copyName = 'bind';

/** Entries with everything one folder deeper: what is selected may be a single file. */
async function* below(entries: readonly Entry[]): AsyncGenerator<Entry> {
  for (const entry of entries) {
    const moved = { ...entry, path: deeper(entry.path) };
    yield moved.type === 'hardlink' ? { ...moved, target: deeper(moved.target) } : moved;
  }
}

function deeper(entryPath: ByteString): ByteString {
  return (entryPath === '' ? copyName : `${copyName}/${entryPath}`) as ByteString;
}

/** Where a link or a file is in the way, the launcher finds out what is to be done. */
async function makeMountPoint(copy: string, { path: relative, isFolder }: InnerMountPoint): Promise<void> {
  const parts = relative.split('/').filter((part) => part !== '');
  for (let length = 1; length <= parts.length; length++) {
    const file = path.join(copy, ...parts.slice(0, length));
    const found = await lstat(file).catch(() => undefined);
    if (found?.isDirectory()) continue;
    if (found !== undefined) return;
    if (length === parts.length && !isFolder) await writeFile(file, '');
    else await mkdir(file, { mode: 0o755 });
  }
}

/** A path as a pattern that matches nothing else. */
function literally(text: string): string {
  return text.replace(/[*?[\\]/g, '\\$&');
}
