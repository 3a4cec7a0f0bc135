import { ToolError } from '../../core/index.ts';
import { parseGitUrl } from '../fetch/git-url.ts';
import { fileNameOf, parseHttpUrl } from '../fetch/http-url.ts';
import type { FetchSource } from '../plan/plan.ts';
import { staysInside } from './mount-formats.ts';
import { quoted } from './problems.ts';
import type { Complaint } from './schema.ts';

/** Undefined when `parseFetchUrl` understands it. */
export function checkFetchUrl(text: string): Complaint {
  const parsed = parseFetchUrl(text);
  return typeof parsed === 'string' ? parsed : undefined;
}

/**
 * A URL of a file or of a git repository; otherwise the sentence that says what is wrong. Repositories are `git://`,
 * `ssh://` and `user@host:path`, and `https://` and `http://` whose path ends with `.git`.
 */
export function parseFetchUrl(text: string): FetchSource | string {
  const hash = text.indexOf('#');
  const address = hash === -1 ? text : text.slice(0, hash);
  const fragment = hash === -1 ? undefined : text.slice(hash + 1);
  const isHttp = /^https?:\/\/[^/]/.test(address);
  const isRepository = isHttp
    ? URL.parse(address)?.pathname.endsWith('.git')
    : /^(?:git|ssh):\/\/|^[^/]+@/.test(address);
  if (!isHttp && !isRepository)
    return `${quoted(text)} cannot be fetched; write https://HOST/PATH, or the address of a git repository`;
  const complaint = isRepository ? complaintOf(() => parseGitUrl(address)) : complaintOf(() => parseHttpUrl(address));
  if (complaint !== undefined) return complaint;
  return isRepository ? gitSource(address, fragment) : httpSource(address, fragment);
}

/** Undefined when the text has the form of a digest or of a git commit. */
export function checkChecksum(text: string): Complaint {
  if (/^sha256:[0-9a-f]{64}$/.test(text) || isCommit(text)) return undefined;
  return `${quoted(text)} is not a checksum; write sha256: and 64 digits, or the commit of a git repository, in lower case`;
}

/** A git commit in full: SHA-1, or SHA-256. */
export function isCommit(text: string): boolean {
  return /^(?:[0-9a-f]{40}|[0-9a-f]{64})$/.test(text);
}

/** The file name at the end of a URL; undefined without one. */
export function urlFileName(url: string): string | undefined {
  return fileNameOf(parseHttpUrl(url));
}

function httpSource(url: string, fragment: string | undefined): FetchSource | string {
  if (fragment !== undefined) return '# and what follows it belongs to git URLs, which end with .git before it';
  return { kind: 'http', url };
}

/** The fragment is `REF`, `REF:FOLDER` or `:FOLDER`. */
function gitSource(url: string, fragment: string | undefined): FetchSource | string {
  const colon = fragment?.indexOf(':') ?? -1;
  const ref = colon === -1 ? fragment : fragment?.slice(0, colon);
  const subdir = colon === -1 ? undefined : fragment?.slice(colon + 1);
  if (ref && !isGitRef(ref)) return `${quoted(ref)} is not a branch, tag or commit`;
  if (subdir && (!staysInside(subdir) || /^-|[\u0000-\u001f\u007f]/.test(subdir)))
    return `${quoted(subdir)} is not a folder inside the repository`;
  return { kind: 'git', url, ...(ref ? { ref } : {}), ...(subdir ? { subdir } : {}) };
}

/** What git itself allows in names (git-check-ref-format(1)), and commits. */
function isGitRef(text: string): boolean {
  return !/^[-/.]|[\u0000-\u0020\u007f~^:?*[\\]|\.\.|@\{|\/\/|[/.]$|\.lock$/.test(text) && text.length <= 250;
}

/** The sentence of the error, and its hint. */
function complaintOf(parse: () => unknown): Complaint {
  try {
    parse();
    return undefined;
  } catch (error) {
    if (!(error instanceof ToolError)) throw error;
    return error.hint === undefined ? error.message : `${error.message}; ${error.hint}`;
  }
}
