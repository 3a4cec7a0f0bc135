import type { IgnoreRules } from '../buildfile/ignore.ts';
import type { Match } from './select.ts';

/** A folder that copies read from, and what they took. */
export interface UsedFolder {
  /** `the context`, or the name it was given. */
  readonly name: string;
  /** Absolute path. */
  readonly folder: string;
  readonly ignore: IgnoreRules;
  /** Path below the folder, one character per byte → bytes. */
  readonly files: ReadonlyMap<string, number>;
}

/** What a build's copies read of folders on disk: collected when somebody will ask, at no cost otherwise. */
export class ContextUse {
  readonly #folders = new Map<string, UsedFolder & { readonly files: Map<string, number> }>();

  get folders(): readonly UsedFolder[] {
    return [...this.#folders.values()];
  }

  add({ name, folder, ignore }: Omit<UsedFolder, 'files'>, matches: readonly Match[]): void {
    const used = this.#folders.get(folder) ?? { name, folder, ignore, files: new Map<string, number>() };
    this.#folders.set(folder, used);
    const prefixBytes = Buffer.byteLength(folder) + 1;
    for (const { entries } of matches) {
      for (const entry of entries) {
        if (entry.type === 'file' && entry.content.kind === 'disk')
          used.files.set(entry.content.file.toString('latin1', prefixBytes), entry.size);
      }
    }
  }
}
