import { ToolError } from '../../core/index.ts';

/** Ways to a repository, the safest first: a submodule may not be on a less safe one than what it belongs to. */
export const gitProtocols = ['ssh', 'https', 'http', 'git'] as const;
export type GitProtocol = (typeof gitProtocols)[number];

/** The address of a repository, parsed: nothing else is ever given to git. */
export interface GitUrl {
  /** As git takes it; never begins with `-`, and has no password. */
  readonly text: string;
  readonly protocol: GitProtocol;
  /** With the port, where there is one. */
  readonly host: string;
  readonly hostname: string;
}

const hostPattern = /^(?:[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?|\[[0-9A-Fa-f:.]+\])$/;
const userPattern = /^[A-Za-z0-9_][A-Za-z0-9._-]*$/;
const urlPattern = /^(?:git\+)?(ssh|https|http|git):\/\/(?:([^/@]*)@)?(\[[^\]/@]*\]|[^/@:]+)(?::([0-9]{1,5}))?(\/.*)$/;
/** `git@host:path`. A name without user is as likely a mistake. */
const scpPattern = /^([^/@:]+)@(\[[^\]/@]*\]|[^/@:]+):(?!:|\/\/)(.+)$/;

/**
 * `https://`, `http://`, `ssh://`, `git://` or `user@host:path`. Everything else that git understands (files of this
 * machine, `ext::`, names of remotes, options) is refused here.
 * @throws ToolError FETCH_GIT_URL, FETCH_URL_CREDENTIALS
 */
export function parseGitUrl(text: string): GitUrl {
  if (text.length > 2048) throw invalid(text, 'it is too long');
  if (/[\u0000-\u0020\u007f\\#?"'`$<>|^{}]/.test(text)) throw invalid(text, 'it has characters that no URL has');
  const url = urlPattern.exec(text);
  if (url !== null) {
    const [, protocol, user, hostname = '', port, path = ''] = url;
    checkPlace(text, hostname, path);
    if (port !== undefined && (Number(port) === 0 || Number(port) > 65_535))
      throw invalid(text, `it has the port ${port}`);
    if (user !== undefined && (protocol !== 'ssh' || !userPattern.test(user)))
      throw withCredentials(protocol, hostname);
    return {
      text: text.replace(/^git\+/, ''),
      protocol: protocol as GitProtocol,
      host: port === undefined ? hostname : `${hostname}:${port}`,
      hostname,
    };
  }
  const scp = scpPattern.exec(text);
  if (scp === null) throw invalid(text, 'only https://, http://, ssh://, git:// and user@host:path are fetched from');
  const [, user = '', hostname = '', path = ''] = scp;
  if (!userPattern.test(user)) throw invalid(text, 'its user name is not usable');
  checkPlace(text, hostname, path);
  return { text, protocol: 'ssh', host: hostname, hostname };
}

/**
 * Where a submodule is: `./` and `../` are relative to the repository that names it.
 * @throws ToolError FETCH_GIT_URL, FETCH_URL_CREDENTIALS, FETCH_GIT_SUBMODULE
 */
export function submoduleUrl(parent: GitUrl, text: string): GitUrl {
  const url = /^\.\.?\//.test(text) ? parseGitUrl(relativeTo(parent.text, text)) : parseGitUrl(text);
  if (gitProtocols.indexOf(url.protocol) > Math.max(gitProtocols.indexOf(parent.protocol), 1)) {
    throw new ToolError(
      'FETCH_GIT_SUBMODULE',
      `${parent.text} has a submodule at ${url.text}, which is less safe than itself`,
    );
  }
  return url;
}

/** As git resolves it: a step up takes one component of the path away, never the host. */
function relativeTo(parent: string, text: string): string {
  let base = parent.replace(/\/+$/, '');
  let rest = text;
  for (;;) {
    if (rest.startsWith('./')) rest = rest.slice(2);
    else if (rest.startsWith('../')) {
      const shorter = base.replace(/(?:\/|(?<=:))[^/:]+$/, '');
      if (shorter === base || !/^(?:[a-z]+:\/\/[^/]+(?:\/|$)|[^/:]+@)/.test(shorter))
        throw invalid(text, 'it leads out of its host');
      base = shorter;
      rest = rest.slice(3);
    } else return base.endsWith(':') ? `${base}${rest}` : `${base}/${rest}`;
  }
}

function checkPlace(text: string, hostname: string, path: string): void {
  if (!hostPattern.test(hostname)) throw invalid(text, `${JSON.stringify(hostname)} is no host name`);
  if (path === '/' || path.startsWith('-')) throw invalid(text, 'it names no repository');
  if (path.split('/').some((part) => part === '..' || part === '.')) throw invalid(text, 'its path goes up');
}

/** The part that is secret is not repeated. */
function withCredentials(protocol: string | undefined, hostname: string): ToolError {
  return new ToolError(
    'FETCH_URL_CREDENTIALS',
    `${protocol}://…@${hostname}/: the URL of a repository may hold no user name and password`,
    { hint: `give --secret id=GIT_AUTH_TOKEN.${hostname}, or an ssh agent with --ssh default` },
  );
}

function invalid(text: string, why: string): ToolError {
  // What stands before an @ may be a password.
  const shown = JSON.stringify(text.replace(/:\/\/[^/]*@/, '://…@').slice(0, 200));
  return new ToolError('FETCH_GIT_URL', `${shown} is not the address of a git repository: ${why}`);
}
