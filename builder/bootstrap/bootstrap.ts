import { lstat } from 'node:fs/promises';
import path from 'node:path';
import { errorCode } from '../../core/index.ts';
import { type Entry, type Launcher, treeOf } from '../../runtime/index.ts';
import { type Archive, formatArchives } from './archives.ts';
import { bootstrapRoot } from './bootstrap-root.ts';
import { normaliseRoot } from './normalise.ts';
import type { BootstrapOptions, ResolvedBootstrap } from './resolve.ts';

/**
 * Makes the root file system in `scratch` and gives its entries: the same for the same resolution on every machine, as
 * root and as root of a user namespace with subordinate ids. Disposing removes the folder that the entries' bytes are in.
 * @throws ToolError BOOTSTRAP_FAILED, BOOTSTRAP_MOVED, ENVIRONMENT_MISSING_TOOL
 */
export async function bootstrapEntries(
  resolved: ResolvedBootstrap,
  options: BootstrapOptions & {
    readonly launcher: Launcher;
    /** ms since the epoch; times from then on are the bootstrap's own. */
    readonly startedAt: number;
  },
): Promise<AsyncDisposable & { readonly entries: AsyncIterable<Entry> }> {
  const root = await bootstrapRoot(resolved, options);
  try {
    const text = formatArchives(await signedByInside(root.path, resolved));
    const sources = { name: `${resolved.source.distribution}.sources`, text };
    const tree = treeOf(options.launcher, root.path, { signal: options.signal });
    const entries = normaliseRoot(tree, { startedAt: options.startedAt, sources });
    return { entries, [Symbol.asyncDispose]: () => root[Symbol.asyncDispose]() };
  } catch (error) {
    await root[Symbol.asyncDispose]();
    throw error;
  }
}

/**
 * The archives for the image's own apt. A keyring of the host that is not in the image gives way to the one that the
 * distribution puts there; without either, the keys in the image's /etc/apt/trusted.gpg.d decide.
 */
async function signedByInside(root: string, { archives, source }: ResolvedBootstrap): Promise<Archive[]> {
  const own = ['gpg', 'pgp'].map((suffix) => `/usr/share/keyrings/${source.distribution}-archive-keyring.${suffix}`);
  return Promise.all(
    archives.map(async ({ signedBy, ...archive }) => {
      if (signedBy !== undefined && !signedBy.startsWith('/')) return { ...archive, signedBy };
      for (const keyring of signedBy === undefined ? own : [signedBy, ...own]) {
        if (await isThere(path.join(root, keyring))) return { ...archive, signedBy: keyring };
      }
      return archive;
    }),
  );
}

async function isThere(file: string): Promise<boolean> {
  try {
    await lstat(file);
    return true;
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return false;
    throw error;
  }
}
