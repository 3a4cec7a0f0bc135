import { ToolError } from '../../core/index.ts';
import type { FetchAccess } from './fetch-access.ts';
import { isCommit } from './git-ref.ts';
import { remoteEnvironment, runGit, withRetries } from './git-tool.ts';
import type { GitUrl } from './git-url.ts';

/**
 * What a ref means at the remote now. A tag goes before a branch of the same name, as git itself has it, and an
 * annotated tag stands for its commit.
 * @param folder empty
 * @throws ToolError FETCH_GIT_REF_NOT_FOUND, FETCH_GIT_*
 */
export async function resolveRemoteRef(
  url: GitUrl,
  ref: string | undefined,
  folder: string,
  access: FetchAccess,
): Promise<string> {
  if (ref !== undefined && isCommit(ref)) return ref;
  const candidates = ref === undefined || ref === 'HEAD' ? ['HEAD'] : candidatesOf(ref);
  const patterns = candidates.flatMap((name) => [name, `${name}^{}`]);
  const env = await remoteEnvironment(url, access);
  const output = await withRetries(access, () =>
    runGit(['ls-remote', '--quiet', '--', url.text, ...patterns], {
      folder,
      env,
      signal: access.signal,
      stallMs: access.stallMs,
    }),
  );
  const found = new Map<string, string>();
  for (const line of output.toString('utf8').split('\n')) {
    const [commit = '', name = ''] = line.split('\t');
    if (isCommit(commit)) found.set(name, commit);
  }
  for (const name of candidates) {
    const commit = found.get(`${name}^{}`) ?? found.get(name);
    if (commit !== undefined) return commit;
  }
  throw new ToolError(
    'FETCH_GIT_REF_NOT_FOUND',
    `${url.text} has no ${ref === undefined ? 'HEAD' : `branch or tag ${ref}`}`,
    {
      hint:
        ref !== undefined && /^[0-9a-f]{4,39}$/i.test(ref)
          ? 'a commit has to be given whole, with its 40 digits'
          : 'check the name',
    },
  );
}

function candidatesOf(ref: string): string[] {
  const named = [`refs/tags/${ref}`, `refs/heads/${ref}`];
  return ref.startsWith('refs/') ? [ref, ...named] : named;
}
