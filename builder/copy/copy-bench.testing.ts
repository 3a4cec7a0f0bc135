import { mkdir, mkdtemp, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { removeTree } from '../../core/index.ts';
import { type Entry, type Launcher, openLauncher } from '../../runtime/index.ts';
import { parseIgnoreFile } from '../buildfile/ignore.ts';
import type { Preserved } from '../plan/plan.ts';
import { RecordStore } from '../workshop/record-store.ts';
import { ContextTree } from './context-tree.ts';
import { type SelectOptions, selectSources } from './select.ts';

/** A context on disk to select from; gone when disposed. */
export interface CopyBench extends AsyncDisposable {
  readonly launcher: Launcher;
  /** Absolute path. */
  readonly context: string;
  readonly records: RecordStore;
  /** Keys are paths. */
  put(files: Readonly<Record<string, string>>): Promise<void>;
  tree(ignore?: string, preserve?: readonly Preserved[]): ContextTree;
  /** Name of each match → its entries' paths. */
  select(paths: readonly string[], options?: BenchOptions): Promise<Record<string, string[]>>;
  /** The entries of all matches. */
  entries(paths: readonly string[], options?: BenchOptions): Promise<Entry[]>;
}

interface BenchOptions extends SelectOptions {
  readonly ignore?: string;
  readonly exclude?: readonly string[];
  readonly preserve?: readonly Preserved[];
}

export async function openCopyBench(): Promise<CopyBench> {
  const folder = await mkdtemp(path.join(tmpdir(), 'kiln-context-'));
  const context = path.join(folder, 'context');
  await mkdir(context);
  const launcher = await openLauncher();
  const tree = (ignore = '', preserve: readonly Preserved[] = []) =>
    new ContextTree(context, parseIgnoreFile(ignore), { preserve, launcher });
  const matches = (paths: readonly string[], { ignore, exclude, preserve, ...options }: BenchOptions = {}) =>
    selectSources(tree(ignore, preserve), paths, exclude ?? [], options);
  return {
    launcher,
    context,
    records: new RecordStore(path.join(folder, 'records')),
    async put(files) {
      for (const [name, text] of Object.entries(files)) {
        await mkdir(path.dirname(path.join(context, name)), { recursive: true });
        await writeFile(path.join(context, name), text);
      }
    },
    tree,
    select: async (paths, options) =>
      Object.fromEntries(
        (await matches(paths, options)).map((match) => [match.name, match.entries.map((entry) => entry.path)]),
      ),
    entries: async (paths, options) => (await matches(paths, options)).flatMap((match) => match.entries),
    [Symbol.asyncDispose]: () => removeTree(folder),
  };
}
