import type { DatabaseSync, SQLInputValue, StatementSync } from 'node:sqlite';
import { type Descriptor, type Digest, parseDescriptor, parseDigest } from '../../core/index.ts';
import type { ManifestDescriptor, Page } from './content-view.ts';
import { openDatabase } from './records-schema.ts';

export interface UploadRecord {
  readonly id: string;
  readonly repository: string;
  readonly algorithm: 'sha256' | 'sha512';
}

export interface ManifestRecord {
  readonly manifest: ManifestDescriptor;
  /** What the referrers API tells of it. */
  readonly described: Descriptor;
  readonly subject: Digest | undefined;
  readonly children: readonly Digest[];
}

/**
 * What a registry holds besides bytes: repositories, the blobs each may read, manifests, tags, uploads. Every method is
 * one transaction and ends within one turn of the event loop, so that calls made in one turn cannot be interleaved.
 */
export class Records implements Disposable {
  readonly #database: DatabaseSync;
  readonly #statements = new Map<string, StatementSync>();

  constructor(file: string) {
    this.#database = openDatabase(file);
  }

  [Symbol.dispose](): void {
    this.#database.close();
  }

  hasRepository(name: string): boolean {
    return this.#idOf(name) !== undefined;
  }

  repositories({ last = '', limit }: Page): string[] {
    const rows = this.#all(
      `SELECT name FROM repositories r WHERE name > ? AND EXISTS (SELECT 1 FROM manifests WHERE repository = r.id)
       ORDER BY name LIMIT ?`,
      last,
      limit,
    );
    return rows.map(({ name }) => String(name));
  }

  tags(repository: string, { last = '', limit }: Page): string[] {
    const rows = this.#all(
      'SELECT tag FROM tags WHERE repository = ? AND tag > ? ORDER BY tag LIMIT ?',
      this.#idOf(repository) ?? -1,
      last,
      limit,
    );
    return rows.map(({ tag }) => String(tag));
  }

  findTag(repository: string, tag: string): Digest | undefined {
    const row = this.#get(
      'SELECT digest FROM tags WHERE repository = ? AND tag = ?',
      this.#idOf(repository) ?? -1,
      tag,
    );
    return row === undefined ? undefined : parseDigest(row.digest);
  }

  findManifest(repository: string, digest: Digest): ManifestDescriptor | undefined {
    const row = this.#get(
      'SELECT media_type, size FROM manifests WHERE repository = ? AND digest = ?',
      this.#idOf(repository) ?? -1,
      digest,
    );
    return row === undefined ? undefined : { mediaType: String(row.media_type), digest, size: Number(row.size) };
  }

  hasBlob(repository: string, digest: Digest): boolean {
    const sql = 'SELECT 1 FROM blobs WHERE repository = ? AND digest = ?';
    return this.#get(sql, this.#idOf(repository) ?? -1, digest) !== undefined;
  }

  referrers(repository: string, subject: Digest): Descriptor[] {
    const sql = 'SELECT descriptor FROM manifests WHERE repository = ? AND subject = ? ORDER BY digest';
    const rows = this.#all(sql, this.#idOf(repository) ?? -1, subject);
    return rows.map(({ descriptor }) => parseDescriptor(JSON.parse(String(descriptor))));
  }

  /** Lets a repository read a blob, which is there; marks it as wanted now. */
  linkBlob(repository: string, digest: Digest, nowMs: number): void {
    this.#transaction(() => {
      this.#run(
        'INSERT INTO blobs VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET used_ms = max(used_ms, excluded.used_ms)',
        this.#makeId(repository),
        digest,
        nowMs,
      );
    });
  }

  /** Somebody asked for the blob, and may rely on it; nothing is written when it was marked as wanted lately. */
  renewBlob(repository: string, digest: Digest, nowMs: number, everyMs: number): void {
    const sql = 'UPDATE blobs SET used_ms = ? WHERE repository = ? AND digest = ? AND used_ms < ?';
    this.#run(sql, nowMs, this.#idOf(repository) ?? -1, digest, nowMs - everyMs);
  }

  /** A repository of any that holds the blob. */
  findHolder(digest: Digest): string | undefined {
    const sql = 'SELECT name FROM blobs JOIN repositories ON id = repository WHERE digest = ? LIMIT 1';
    const row = this.#get(sql, digest);
    return row === undefined ? undefined : String(row.name);
  }

  /** True when some repository holds these bytes, as a blob or as a manifest. */
  isWanted(digest: Digest): boolean {
    const sql =
      'SELECT 1 WHERE EXISTS (SELECT 1 FROM blobs WHERE digest = ?1) OR EXISTS (SELECT 1 FROM manifests WHERE digest = ?1)';
    return this.#get(sql, digest) !== undefined;
  }

  /** True when the repository held it. */
  unlinkBlob(repository: string, digest: Digest): boolean {
    const sql = 'DELETE FROM blobs WHERE repository = ? AND digest = ?';
    return this.#transaction(() => this.#run(sql, this.#idOf(repository) ?? -1, digest) > 0);
  }

  /** Takes a manifest, whose bytes are there, and names it, all at once. */
  putManifest(repository: string, record: ManifestRecord, tags: readonly string[], nowMs: number): void {
    const { manifest, described, subject, children } = record;
    this.#transaction(() => {
      const id = this.#makeId(repository);
      this.#run(
        'INSERT OR REPLACE INTO manifests VALUES (?, ?, ?, ?, ?, ?, ?)',
        id,
        manifest.digest,
        manifest.mediaType,
        manifest.size,
        subject ?? null,
        JSON.stringify(described),
        nowMs,
      );
      this.#run('DELETE FROM children WHERE repository = ? AND manifest = ?', id, manifest.digest);
      for (const child of children)
        this.#run('INSERT OR IGNORE INTO children VALUES (?, ?, ?)', id, child, manifest.digest);
      for (const tag of tags) this.#run('INSERT OR REPLACE INTO tags VALUES (?, ?, ?)', id, tag, manifest.digest);
    });
  }

  /** Takes a tag away; the digest it named, if it did. */
  deleteTag(repository: string, tag: string): Digest | undefined {
    return this.#transaction(() => {
      const digest = this.findTag(repository, tag);
      this.#run('DELETE FROM tags WHERE repository = ? AND tag = ?', this.#idOf(repository) ?? -1, tag);
      return digest;
    });
  }

  /** Takes a manifest away, with its tags; false when it was not there. */
  deleteManifest(repository: string, digest: Digest): boolean {
    const id = this.#idOf(repository) ?? -1;
    return this.#transaction(() => {
      this.#run('DELETE FROM tags WHERE repository = ? AND digest = ?', id, digest);
      this.#run('DELETE FROM children WHERE repository = ? AND manifest = ?', id, digest);
      return this.#run('DELETE FROM manifests WHERE repository = ? AND digest = ?', id, digest) > 0;
    });
  }

  addUpload({ id, repository, algorithm }: UploadRecord, nowMs: number): void {
    this.#run('INSERT INTO uploads VALUES (?, ?, ?, ?)', id, repository, algorithm, nowMs);
  }

  findUpload(id: string): UploadRecord | undefined {
    const row = this.#get('SELECT repository, algorithm FROM uploads WHERE id = ?', id);
    if (row === undefined) return undefined;
    return { id, repository: String(row.repository), algorithm: row.algorithm === 'sha512' ? 'sha512' : 'sha256' };
  }

  renewUpload(id: string, nowMs: number): void {
    this.#run('UPDATE uploads SET used_ms = ? WHERE id = ?', nowMs, id);
  }

  removeUpload(id: string): void {
    this.#run('DELETE FROM uploads WHERE id = ?', id);
  }

  uploadsUsedBefore(ms: number): string[] {
    return this.#all('SELECT id FROM uploads WHERE used_ms < ?', ms).map(({ id }) => String(id));
  }

  repositoriesWithUploads(): string[] {
    return this.#all('SELECT DISTINCT repository FROM uploads').map(({ repository }) => String(repository));
  }

  allRepositories(): string[] {
    return this.#all('SELECT name FROM repositories ORDER BY name').map(({ name }) => String(name));
  }

  /** Lets go of the blobs of a repository that no manifest of it points at and that nobody asked for since. */
  unlinkLooseBlobs(repository: string, usedBeforeMs: number): number {
    return this.#run(
      `DELETE FROM blobs WHERE repository = ?1 AND used_ms < ?2 AND NOT EXISTS
         (SELECT 1 FROM children c WHERE c.repository = ?1 AND c.child = blobs.digest)`,
      this.#idOf(repository) ?? -1,
      usedBeforeMs,
    );
  }

  /**
   * Manifests of a repository that no tag and no index leads to, and that refer to no manifest that is here. What they
   * pointed at may be so as well then: ask again.
   */
  untaggedManifests(repository: string, usedBeforeMs: number): Digest[] {
    const rows = this.#all(
      `SELECT digest FROM manifests m WHERE repository = ?1 AND used_ms < ?2
         AND NOT EXISTS (SELECT 1 FROM tags t WHERE t.repository = ?1 AND t.digest = m.digest)
         AND NOT EXISTS (SELECT 1 FROM children c WHERE c.repository = ?1 AND c.child = m.digest)
         AND NOT EXISTS (SELECT 1 FROM manifests s WHERE s.repository = ?1 AND s.digest = m.subject)`,
      this.#idOf(repository) ?? -1,
      usedBeforeMs,
    );
    return rows.map(({ digest }) => parseDigest(digest));
  }

  /** Forgets a repository that holds nothing; false when it holds something. */
  forgetEmpty(repository: string): boolean {
    return (
      this.#run(
        `DELETE FROM repositories WHERE name = ? AND NOT EXISTS (SELECT 1 FROM blobs WHERE repository = id)
           AND NOT EXISTS (SELECT 1 FROM manifests WHERE repository = id)`,
        repository,
      ) > 0
    );
  }

  #idOf(name: string): number | undefined {
    const row = this.#get('SELECT id FROM repositories WHERE name = ?', name);
    return row === undefined ? undefined : Number(row.id);
  }

  #makeId(name: string): number {
    this.#run('INSERT OR IGNORE INTO repositories (name) VALUES (?)', name);
    return this.#idOf(name) ?? -1;
  }

  /** What somebody is about to be told is done outlasts a crash of the machine; what is written besides need not. */
  #transaction<R>(body: () => R): R {
    this.#database.exec('PRAGMA synchronous = FULL; BEGIN IMMEDIATE');
    try {
      const result = body();
      this.#database.exec('COMMIT');
      return result;
    } catch (error) {
      if (this.#database.isTransaction) this.#database.exec('ROLLBACK');
      throw error;
    } finally {
      this.#database.exec('PRAGMA synchronous = NORMAL');
    }
  }

  #get(sql: string, ...values: SQLInputValue[]) {
    return this.#prepared(sql).get(...values);
  }

  #all(sql: string, ...values: SQLInputValue[]) {
    return this.#prepared(sql).all(...values);
  }

  #run(sql: string, ...values: SQLInputValue[]): number {
    return Number(this.#prepared(sql).run(...values).changes);
  }

  #prepared(sql: string): StatementSync {
    const known = this.#statements.get(sql);
    if (known !== undefined) return known;
    const made = this.#database.prepare(sql);
    this.#statements.set(sql, made);
    return made;
  }
}
