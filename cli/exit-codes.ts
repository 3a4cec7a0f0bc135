import { errorCode, ToolError } from '../core/index.ts';

/** What the process ends with. docs/exit-codes.md promises these to scripts. */
export const exitCodes = {
  ok: 0,
  unexpected: 1,
  usage: 2,
  step: 3,
  registry: 4,
  environment: 5,
  damaged: 6,
  notFound: 7,
  verifyMismatch: 8,
  lockFrozen: 9,
  updateAvailable: 10,
  findings: 11,
  runEngine: 125,
  runCannotInvoke: 126,
  runNotFound: 127,
  interrupted: 130,
  terminated: 143,
} as const;

/** By whole code where its area says something else. */
const byCode: Readonly<Record<string, number>> = {
  REFERENCE_NOT_FOUND: exitCodes.notFound,
  IMAGE_NOT_FOUND: exitCodes.notFound,
  PLATFORM_NOT_FOUND: exitCodes.notFound,
  // Of blobs that were asked for one by one; BLOB_NOT_FOUND is of images that lack one.
  BLOB_UNKNOWN: exitCodes.notFound,
  // What the user wrote; the rest of the area is what somebody published.
  ARTIFACT_TYPE_INVALID: exitCodes.usage,
  ARTIFACT_TOO_LARGE: exitCodes.usage,
  PLATFORM_CANNOT_RUN: exitCodes.environment,
  REBASE_BASE_GONE: exitCodes.notFound,
  // Of cache mounts; the rest of the area is where caches of steps are imported from.
  CACHE_NOT_FOUND: exitCodes.notFound,
  CACHE_IN_USE: exitCodes.environment,
  CACHE_ARCHIVE_INVALID: exitCodes.damaged,
  CACHE_ARCHIVE_TOO_LARGE: exitCodes.usage,
  // `oci:PATH` names a folder that is none.
  LAYOUT_NOT_FOUND: exitCodes.usage,
  // The lock file itself, not that it would have to change.
  LOCK_INVALID: exitCodes.usage,
  LOCK_NOT_FOUND: exitCodes.usage,
  LOCK_UNREADABLE: exitCodes.usage,
  LOCK_UNWRITABLE: exitCodes.environment,
  // What the step names, not the archive that was asked.
  PACKAGES_NOT_FOUND: exitCodes.usage,
  PACKAGES_NAME_INVALID: exitCodes.usage,
  // Of layers that are being made: the files are at fault, not content that came from elsewhere.
  LAYER_FILE_CHANGED: exitCodes.usage,
  LAYER_FILE_UNREADABLE: exitCodes.usage,
  LAYER_NAME_RESERVED: exitCodes.usage,
  LAYER_OVERLAY_UNSUPPORTED: exitCodes.usage,
  LAYER_XATTR_UNSUPPORTED: exitCodes.usage,
  SERVE_ADDRESS_UNUSABLE: exitCodes.environment,
  SERVE_ROOT_IN_USE: exitCodes.environment,
  SERVE_ROOT_INVALID: exitCodes.damaged,
  // Not at the registry, and not to be fetched from elsewhere unless said.
  LAYER_FOREIGN: exitCodes.registry,
  // Of layers that are being unpacked: no space, or an id this user does not have.
  LAYER_APPLY_FAILED: exitCodes.environment,
  LAYER_ID_UNMAPPED: exitCodes.environment,
};

/** By the part of the code before its first underscore. */
const byArea: Readonly<Record<string, number>> = {
  ...areas(exitCodes.unexpected, ['BUILD']),
  ...areas(exitCodes.usage, ['USAGE', 'BUILDFILE', 'REFERENCE', 'PLATFORM', 'CONTEXT', 'COPY', 'PATTERN', 'IGNORE']),
  ...areas(exitCodes.usage, ['IMAGE', 'PLACE', 'CONTAINER', 'USER', 'GROUP', 'ROOT', 'REBUILD', 'SECRET', 'SSH']),
  ...areas(exitCodes.usage, ['MOUNT', 'EXPLAIN', 'UNPACK', 'REBASE', 'STALE', 'SERVE']),
  ...areas(exitCodes.step, ['STEP']),
  ...areas(exitCodes.registry, ['REGISTRY', 'PROXY', 'CREDENTIALS', 'FETCH', 'PACKAGES', 'CACHE']),
  ...areas(exitCodes.lockFrozen, ['LOCK']),
  ...areas(exitCodes.verifyMismatch, ['VERIFY']),
  ...areas(exitCodes.environment, ['ENVIRONMENT', 'LAUNCHER', 'SANDBOX', 'SCAN', 'BOOTSTRAP', 'OUTPUT']),
  ...areas(exitCodes.damaged, ['ARTIFACT', 'BLOB', 'LAYER', 'MANIFEST', 'CONFIG', 'DESCRIPTOR', 'DIGEST', 'LAYOUT']),
  ...areas(exitCodes.damaged, ['SNAPSHOT']),
};

/** The machine's own refusals: no space, no permission, too many files. */
const systemRefusals = new Set(['EACCES', 'EPERM', 'ENOSPC', 'EDQUOT', 'EROFS', 'EMFILE', 'ENFILE', 'ENOMEM']);

/** The exit code for an error that ended a command. */
export function exitCodeFor(error: unknown): number {
  const code = errorCode(error);
  if (code === undefined) return exitCodes.unexpected;
  if (!(error instanceof ToolError)) return systemRefusals.has(code) ? exitCodes.environment : exitCodes.unexpected;
  return byCode[code] ?? byArea[areaOf(code)] ?? exitCodes.unexpected;
}

/** Whether the table knows the code's area: a test asks for every code in the sources. */
export function hasExitCode(code: string): boolean {
  return code in byCode || areaOf(code) in byArea;
}

function areaOf(code: string): string {
  return code.split('_', 1)[0] ?? code;
}

function areas(exitCode: number, names: readonly string[]): Record<string, number> {
  return Object.fromEntries(names.map((name) => [name, exitCode]));
}
