import { ToolError } from '../../core/index.ts';

/** A commit, whole, in lower case. */
const commitPattern = /^(?:[0-9a-f]{40}|[0-9a-f]{64})$/;

export function isCommit(text: string): boolean {
  return commitPattern.test(text);
}

/** What the lock file calls a ref of a repository. */
export function gitPinKey(url: string, ref: string | undefined): string {
  return `${url}#${ref ?? 'HEAD'}`;
}

/**
 * A branch, a tag, `refs/…`, `HEAD` or a whole commit, by git's own rules for names, and no option.
 * @throws ToolError FETCH_GIT_REF
 */
export function parseRef(text: string): string {
  if (/^(?:[0-9A-Fa-f]{40}|[0-9A-Fa-f]{64})$/.test(text)) return text.toLowerCase();
  const complaint = complaintAbout(text);
  if (complaint === undefined) return text;
  throw new ToolError('FETCH_GIT_REF', `${JSON.stringify(text.slice(0, 200))} is no name of a git ref: ${complaint}`);
}

/** git-check-ref-format(1) */
function complaintAbout(text: string): string | undefined {
  if (text === '' || text.length > 255) return 'it has 1 to 255 characters';
  if (text.startsWith('-')) return 'it begins with -';
  if (/[\u0000-\u0020\u007f~^:?*[\\]/.test(text)) return 'it has a character that no ref has';
  if (text.includes('..') || text.includes('@{') || text === '@') return 'it is an expression';
  if (text.endsWith('.') || /(?:^|\/)\.|\.lock(?:\/|$)/.test(text))
    return 'a part of it begins or ends with a dot, or ends with .lock';
  if (/^\/|\/$|\/\//.test(text)) return 'it has an empty part';
  return undefined;
}

/**
 * A folder in a repository, without `/` at either end; `''` is all of it.
 * @throws ToolError FETCH_GIT_SUBDIR
 */
export function parseSubdir(text: string): string {
  const parts = text.split('/').filter((part) => part !== '' && part !== '.');
  if (parts.includes('..') || text.includes('\0')) {
    throw new ToolError('FETCH_GIT_SUBDIR', `${JSON.stringify(text.slice(0, 200))} leads out of the repository`);
  }
  return parts.join('/');
}
