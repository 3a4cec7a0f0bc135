import { ToolError } from '../../core/index.ts';
import { type ByteString, byteString, displayPath } from '../../runtime/index.ts';
import type { Workshop } from '../workshop/workshop.ts';
import type { FetchAccess } from './fetch-access.ts';
import { type GitMirror, mirrorWith } from './git-mirror.ts';
import { runGit } from './git-tool.ts';
import { type GitFile, listCommit } from './git-tree.ts';
import { submoduleUrl } from './git-url.ts';

/** A file with the mirror that has it. */
export interface MirroredFile extends GitFile {
  readonly mirror: GitMirror;
}

const maxDepth = 10;
const maxSubmodules = 1000;

/**
 * The files of a commit with those of its submodules in their places, and theirs. One that `.gitmodules` does not
 * mention, or says not to update, stays an empty folder, as with git.
 * @param subdir what is not on the way to it, or in it, is not fetched
 * @throws ToolError FETCH_GIT_SUBMODULE, FETCH_GIT_*
 */
export async function filesOfCommit(
  workshop: Workshop,
  top: { readonly mirror: GitMirror; readonly commit: string; readonly subdir: ByteString },
  access: FetchAccess,
): Promise<MirroredFile[]> {
  let submodules = 0;
  return expand(top.mirror, top.commit, '' as ByteString, 0);

  async function expand(mirror: GitMirror, commit: string, prefix: ByteString, depth: number): Promise<MirroredFile[]> {
    const files = await listCommit(mirror, commit, access);
    const links = files.filter(({ kind }) => kind === 'commit');
    const urls = links.length === 0 ? new Map<string, string>() : await submoduleUrls(mirror, files, access);
    const result: MirroredFile[] = [];
    for (const file of files) {
      const path = (prefix + file.path) as ByteString;
      const url = urls.get(file.path);
      if (file.kind !== 'commit' || url === undefined || !isWanted(path, top.subdir)) {
        result.push({ ...file, path, mirror });
        continue;
      }
      submodules += 1;
      if (submodules > maxSubmodules || depth >= maxDepth) throw tooMany(top.mirror);
      access.onStatus?.(`submodule ${displayPath(path)}`);
      const inner = await mirrorWith(workshop, submoduleUrl(mirror.url, url), file.id, mirror.folder, access);
      result.push(...(await expand(inner, file.id, `${path}/` as ByteString, depth + 1)));
    }
    return result;
  }
}

function isWanted(path: ByteString, subdir: ByteString): boolean {
  return subdir === '' || path === subdir || path.startsWith(`${subdir}/`) || subdir.startsWith(`${path}/`);
}

/** Path → URL, as `.gitmodules` has them. */
async function submoduleUrls(
  { repository, folder }: GitMirror,
  files: readonly GitFile[],
  access: FetchAccess,
): Promise<Map<string, string>> {
  const file = files.find(({ path, kind }) => path === '.gitmodules' && (kind === 'file' || kind === 'executable'));
  if (file === undefined) return new Map();
  const output = await runGit(['config', '--blob', file.id, '--no-includes', '-z', '--list'], {
    repository,
    folder,
    signal: access.signal,
  });
  return parseModules(output.toString('utf8'));
}

/** `submodule.NAME.KEY\nVALUE\0` for each line of the file. */
export function parseModules(listed: string): Map<string, string> {
  const modules = new Map<string, Record<string, string>>();
  for (const item of listed.split('\0')) {
    const [, name, key, value] = /^submodule\.(.*)\.([^.\n]+)\n(.*)$/s.exec(item) ?? [];
    if (name === undefined || key === undefined || value === undefined) continue;
    modules.set(name, { ...modules.get(name), [key.toLowerCase()]: value });
  }
  const urls = new Map<string, string>();
  for (const { path, url, update } of modules.values()) {
    if (path === undefined || url === undefined || update === 'none') continue;
    urls.set(byteString(path.replace(/\/+$/, '')), url);
  }
  return urls;
}

function tooMany({ url }: GitMirror): ToolError {
  return new ToolError(
    'FETCH_GIT_SUBMODULE',
    `${url.text} has more than ${maxSubmodules} submodules, or submodules more than ${maxDepth} deep`,
  );
}
