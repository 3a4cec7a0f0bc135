import type { RecordStore } from '../workshop/record-store.ts';
import { FileDigests } from './file-digests.ts';

/** What one build knows of files on disk, folder by folder; read when it is first asked for. */
export class DigestCache {
  readonly #records: RecordStore;
  readonly #folders = new Map<string, Promise<FileDigests>>();
  readonly nowMs: number;

  /** @param nowMs when the build began: what was written later is not trusted to stay */
  constructor(records: RecordStore, nowMs: number) {
    this.#records = records;
    this.nowMs = nowMs;
  }

  /** Of the files below a folder: absolute path. */
  of(folder: string): Promise<FileDigests> {
    let digests = this.#folders.get(folder);
    if (digests === undefined) {
      digests = this.#records
        .read('contexts-v2', folder)
        .then((record) => FileDigests.from(record, folder, this.nowMs));
      this.#folders.set(folder, digests);
    }
    return digests;
  }

  /** Keeps for the next build what was found out. */
  async save(): Promise<void> {
    for (const [folder, opening] of this.#folders) {
      const [opened] = await Promise.allSettled([opening]);
      if (opened.status === 'rejected' || !opened.value.changed) continue;
      await this.#records.write('contexts-v2', folder, opened.value.toRecord());
    }
  }
}
