import { DatabaseSync } from 'node:sqlite';
import { errorCode, ToolError } from '../../core/index.ts';

const version = 1;

const schema = `
CREATE TABLE repositories (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);
-- Which blobs a repository may read: they were uploaded to it or mounted.
CREATE TABLE blobs (
  repository INTEGER NOT NULL, digest TEXT NOT NULL, used_ms INTEGER NOT NULL,
  PRIMARY KEY (repository, digest)
) WITHOUT ROWID;
CREATE INDEX blobs_by_digest ON blobs (digest);
-- descriptor: what the referrers API tells of it, as JSON.
CREATE TABLE manifests (
  repository INTEGER NOT NULL, digest TEXT NOT NULL, media_type TEXT NOT NULL, size INTEGER NOT NULL,
  subject TEXT, descriptor TEXT NOT NULL, used_ms INTEGER NOT NULL,
  PRIMARY KEY (repository, digest)
) WITHOUT ROWID;
CREATE INDEX manifests_by_digest ON manifests (digest);
CREATE INDEX manifests_by_subject ON manifests (repository, subject, digest) WHERE subject IS NOT NULL;
-- What a manifest points at: config, layers, manifests of an index.
CREATE TABLE children (
  repository INTEGER NOT NULL, child TEXT NOT NULL, manifest TEXT NOT NULL,
  PRIMARY KEY (repository, child, manifest)
) WITHOUT ROWID;
CREATE INDEX children_by_manifest ON children (repository, manifest);
CREATE TABLE tags (
  repository INTEGER NOT NULL, tag TEXT NOT NULL, digest TEXT NOT NULL,
  PRIMARY KEY (repository, tag)
) WITHOUT ROWID;
CREATE INDEX tags_by_digest ON tags (repository, digest);
CREATE TABLE uploads (
  id TEXT PRIMARY KEY, repository TEXT NOT NULL, algorithm TEXT NOT NULL, used_ms INTEGER NOT NULL
) WITHOUT ROWID;
PRAGMA user_version = ${version};
`;

/**
 * Opens the records' database, and makes it when there is none.
 * @throws ToolError SERVE_ROOT_INVALID, SERVE_ROOT_VERSION
 */
export function openDatabase(file: string): DatabaseSync {
  let database: DatabaseSync | undefined;
  try {
    database = new DatabaseSync(file);
    database.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL;');
    const found = Number(database.prepare('PRAGMA user_version').get()?.user_version);
    if (found === 0) database.exec(`BEGIN IMMEDIATE; ${schema} COMMIT;`);
    else if (found !== version) throw unknownVersion(file, found);
    return database;
  } catch (cause) {
    database?.close();
    if (cause instanceof ToolError || errorCode(cause) !== 'ERR_SQLITE_ERROR') throw cause;
    throw new ToolError('SERVE_ROOT_INVALID', `the registry's records in ${file} cannot be opened`, {
      cause,
      hint: 'name another folder with --root, or restore this one from a copy',
    });
  }
}

function unknownVersion(file: string, found: number): ToolError {
  return new ToolError('SERVE_ROOT_VERSION', `${file} was written by another version of Kiln (format ${found})`, {
    hint: 'serve it with that version, or name another folder with --root',
  });
}
