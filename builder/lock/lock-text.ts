import { type Digest, isDigest, parseReference, ToolError } from '../../core/index.ts';
import { BuildfileError, type Problem, quoted } from '../buildfile/problems.ts';
import { array, type Complaint, type Infer, integer, map, string, table } from '../buildfile/schema.ts';
import { parseToml, type TomlDocument } from '../buildfile/toml.ts';
import { validate } from '../buildfile/validate.ts';
import { emptyLock, type LockContent, pinKinds, sortPinned } from './lock-content.ts';
import type { PinnedPackage } from './pins.ts';
import { readWritten } from './written-lock.ts';

/** Of the format; a file of a newer one is refused. */
const lockVersion = 1;

/** Longer lock files are refused unread: some 60,000 packages. */
export const maxLockLength = 8 * 1024 * 1024;

const header = [
  '# What the network answered when this Buildfile was built. Kiln writes this file; commit it beside the Buildfile.',
  '# kiln outdated says what is behind, kiln update moves it, kiln build --no-lock does without.',
  `version = ${lockVersion}`,
];

/** One package of a set in one line. */
const packageLine = /^([^\s]+) ([^\s]+) ([^\s]+) ([^\s]+)$/;

/** Stands for the hash of a package whose manager knows none. */
const noHash = '-';

const digest = string({ literal: true, check: checkDigest });
const packageSet = map(array(string({ literal: true, check: checkPackageLine })), { checkKey });

const lockSchema = table(
  {
    version: integer(),
    images: map(digest, { checkKey: checkImageName }),
    urls: map(digest, { checkKey }),
    git: map(string({ literal: true, check: checkCommit }), { checkKey }),
    packages: packageSet,
    bootstraps: packageSet,
  },
  { required: ['version'] },
);

/**
 * Reads a lock file. CRLF, comments and any order are fine.
 * @throws BuildfileError LOCK_INVALID with all problems, each with its place
 */
export function parseLock(text: string, file: string): LockContent {
  const written = findWritten(text);
  if (written !== undefined) return written;
  refuseConflict(text, file);
  const document = parseToml(text, file, { area: 'LOCK', maxLength: maxLockLength });
  refuseOtherVersion(document);
  const { value, problems } = validate(lockSchema, document);
  const all = [...problems, ...repeatedPackages(document, value)];
  if (all.length > 0) throw invalid(all, document.text, file);
  return {
    ...emptyLock,
    // What is no digest is a problem, and was thrown above.
    images: new Map(Object.entries(value.images ?? {}).filter(hasDigest)),
    urls: new Map(Object.entries(value.urls ?? {}).filter(hasDigest)),
    git: new Map(Object.entries(value.git ?? {})),
    packages: packagesOf(value.packages),
    bootstraps: packagesOf(value.bootstraps),
  };
}

/** The file's text: sorted, LF, an entry or a package per line, so that versions merge. */
export function formatLock(content: LockContent): string {
  const lines = [...header];
  for (const kind of pinKinds) {
    if (content[kind].size === 0) continue;
    lines.push('', `[${kind}]`);
    for (const key of [...content[kind].keys()].sort()) {
      const value = content[kind].get(key) ?? '';
      if (typeof value === 'string') lines.push(`${tomlString(key)} = ${tomlString(value)}`);
      else lines.push(`${tomlString(key)} = [`, ...sortPinned(value).map(formatPinned), ']');
    }
  }
  return `${lines.join('\n')}\n`;
}

/** The quick way for a file as Kiln writes it; whatever the parser would have to complain about takes the other one. */
function findWritten(text: string): LockContent | undefined {
  const found = readWritten(text, { header, noHash });
  if (found === undefined) return undefined;
  const [images, urls, git] = [found.strings.get('images'), found.strings.get('urls'), found.strings.get('git')];
  const [packages, bootstraps] = [found.sets.get('packages'), found.sets.get('bootstraps')];
  const keys = [urls, git, packages, bootstraps].flatMap((table) => [...(table?.keys() ?? [])]);
  const sets = [...(packages?.values() ?? []), ...(bootstraps?.values() ?? [])];
  const isFine =
    [...(images?.keys() ?? [])].every((key) => checkImageName(key) === undefined) &&
    keys.every((key) => checkKey(key) === undefined) &&
    [...(git?.values() ?? [])].every((commit) => checkCommit(commit) === undefined) &&
    sets.every((set) => new Set(set.map(({ name, architecture }) => `${name}:${architecture}`)).size === set.length);
  if (!isFine) return undefined;
  const content = {
    images: new Map([...(images ?? [])].filter(hasDigest)),
    urls: new Map([...(urls ?? [])].filter(hasDigest)),
    git: git ?? new Map(),
    packages: packages ?? new Map(),
    bootstraps: bootstraps ?? new Map(),
  };
  return formatLock(content) === text ? content : undefined;
}

function formatPinned({ name, version, architecture, hash }: PinnedPackage): string {
  return `  ${tomlString(`${name} ${version} ${architecture} ${hash === '' ? noHash : hash}`)},`;
}

/** A basic string. https://toml.io/en/v1.0.0#string */
function tomlString(text: string): string {
  return JSON.stringify(text.toWellFormed()).replaceAll('\u007f', '\\u007f');
}

function packagesOf(sets: Infer<typeof packageSet> | undefined): Map<string, readonly PinnedPackage[]> {
  return new Map(Object.entries(sets ?? {}).map(([key, lines]) => [key, sortPinned(lines.flatMap(parsePackageLine))]));
}

function parsePackageLine(line: string): PinnedPackage[] {
  const [, name, version, architecture, hash] = packageLine.exec(line) ?? [];
  if (name === undefined || version === undefined || architecture === undefined || hash === undefined) return [];
  return [{ name, version, architecture, hash: hash === noHash ? '' : hash }];
}

/** Two versions of one package in one set: a merge that kept both sides. */
function repeatedPackages(document: TomlDocument, value: Infer<typeof lockSchema>): Problem[] {
  return (['packages', 'bootstraps'] as const).flatMap((kind) =>
    Object.entries(value[kind] ?? {}).flatMap(([key, lines]) => {
      const seen = new Set<string>();
      return lines.flatMap((line, index): Problem[] => {
        const [parsed] = parsePackageLine(line);
        const name = `${parsed?.name}:${parsed?.architecture}`;
        if (!seen.has(name)) {
          seen.add(name);
          return [];
        }
        const message = `${quoted(name)} is in this set already; was this file merged? keep one line, or run kiln update`;
        return [{ code: 'LOCK_REPEATED', message, position: document.valuePosition([kind, key, index]) }];
      });
    }),
  );
}

/** Git leaves such lines behind, and no line of a lock file begins like one. */
function refuseConflict(text: string, file: string): void {
  const problems = text.split(/\r?\n/).flatMap((line, index): Problem[] => {
    if (!/^<{7}(?: |$)/.test(line)) return [];
    const message = 'a merge left its conflict here; keep either side, then run kiln update';
    return [{ code: 'LOCK_CONFLICT', message, position: { file, line: index + 1, column: 1 } }];
  });
  if (problems.length > 0) throw invalid(problems, text, file);
}

/** Before the rest is looked at: what a newer version means is unknown here. */
function refuseOtherVersion(document: TomlDocument): void {
  const { version } = document.value;
  if ((typeof version !== 'number' && typeof version !== 'bigint') || Number(version) === lockVersion) return;
  const message = `this lock file has version ${version}; this Kiln knows version ${lockVersion}: use a newer Kiln`;
  const problem = { code: 'LOCK_VERSION', message, position: document.valuePosition(['version']) };
  throw invalid([problem], document.text, document.file);
}

function invalid(problems: readonly Problem[], text: string, file: string): BuildfileError {
  return new BuildfileError(problems, new Map([[file, text]]), 'LOCK');
}

function hasDigest(entry: [string, string]): entry is [string, Digest] {
  return isDigest(entry[1]);
}

function checkDigest(text: string): Complaint {
  return isDigest(text) ? undefined : `${quoted(text)} is not a digest`;
}

function checkCommit(text: string): Complaint {
  return /^(?:[0-9a-f]{40}|[0-9a-f]{64})$/.test(text) ? undefined : `${quoted(text)} is not a commit`;
}

function checkPackageLine(text: string): Complaint {
  if (packageLine.test(text)) return undefined;
  return `${quoted(text)} is not a package; one is written "NAME VERSION ARCHITECTURE HASH"`;
}

function checkKey(key: string): Complaint {
  return key === '' || /[\u0000-\u001f\u007f]/.test(key) ? `${quoted(key)} cannot be locked` : undefined;
}

function checkImageName(key: string): Complaint {
  try {
    return parseReference(key).tag === undefined ? `${quoted(key)} has no tag` : undefined;
  } catch (error) {
    if (error instanceof ToolError) return error.message;
    throw error;
  }
}
