import { isCommit, parseFetchUrl, urlFileName } from '../buildfile/fetch-url.ts';
import { findMode } from '../buildfile/formats.ts';
import { type StepContent, stepVerbs } from '../buildfile/step-schema.ts';
import type { TomlPath } from '../buildfile/toml.ts';
import { findVerb } from '../buildfile/verbs.ts';
import { copySource, reportValue, type SourceContext } from './base-source.ts';
import { commandOf } from './image-changes.ts';
import type { CopyStep, FetchSource, FetchStep, PackagesStep, Preserved, RunStep, Step } from './plan.ts';
import { planMounts } from './plan-mounts.ts';

export interface StepContext extends SourceContext {
  /** What scripts find in their environment. */
  readonly args: Readonly<Record<string, string>>;
}

/** A step of the plan; undefined when it is wrong, which has been reported. */
export function planStep(content: StepContent, at: TomlPath, context: StepContext): Step | undefined {
  const found = findVerb(stepVerbs, Object.keys(content));
  if (found.kind !== 'one') return undefined;
  const step = verbStep(content, at, context);
  if (step === undefined) return undefined;
  const { name, layer } = content;
  return {
    position: context.document.keyPosition([...at, found.verb]),
    ...(name === undefined ? {} : { title: name }),
    ...(layer === undefined ? {} : { layer }),
    ...step,
  };
}

type Unplaced<S> = S extends Step ? Omit<S, 'position'> : never;

function verbStep(content: StepContent, at: TomlPath, context: StepContext): Unplaced<Step> | undefined {
  const { run, copy, fetch, packages, test, workdir, user, env, shell } = content;
  if (run !== undefined) return { verb: 'run', ...commandStep(run, content, at, context) };
  if (test !== undefined) return { verb: 'test', ...commandStep(test, content, at, context) };
  if (copy !== undefined) return copyStep(copy, content, at, context);
  if (fetch !== undefined) return fetchStep(fetch, content, at, context);
  if (packages !== undefined) return packagesStep(packages, content);
  if (workdir !== undefined) return { verb: 'workdir', path: workdir };
  if (user !== undefined) return { verb: 'user', user };
  if (env !== undefined) return { verb: 'env', env };
  return shell === undefined ? undefined : { verb: 'shell', shell };
}

function commandStep(
  command: string | readonly string[],
  { env = {}, user, workdir, shell, network, mounts = [] }: StepContent,
  at: TomlPath,
  context: StepContext,
): Omit<RunStep, 'position' | 'verb'> {
  return {
    command: commandOf(command),
    env,
    args: context.args,
    ...(user === undefined ? {} : { user }),
    ...(workdir === undefined ? {} : { workdir }),
    ...(shell === undefined ? {} : { shell }),
    ...(network === 'none' || network === 'host' || network === 'default' ? { network } : {}),
    mounts: planMounts(mounts, [...at, 'mounts'], context),
  };
}

function copyStep(
  copy: string | readonly string[],
  { from, to = '.', exclude = [], owner, mode, preserve = [], parents = false, optional = false }: StepContent,
  at: TomlPath,
  context: StepContext,
): Omit<CopyStep, 'position'> | undefined {
  const source = copySource(from, [...at, 'from'], context);
  const paths = typeof copy === 'string' ? [copy] : copy;
  if (paths.length > 1 && !parents && !isFolder(to))
    reportValue('several paths are copied, so the destination is a directory and ends with /', [...at, 'to'], context);
  for (const [key, value] of Object.entries({ mode, owner })) {
    if (value !== undefined && preserve.includes(key))
      reportValue(`${key} and preserve = ["${key}"] contradict each other`, [...at, key], context);
  }
  if (source === undefined) return undefined;
  return {
    verb: 'copy',
    from: source,
    paths,
    to,
    exclude,
    ...(owner === undefined ? {} : { owner }),
    ...modeOf(mode),
    preserve: allPreserved.filter((what) => preserve.includes(what)),
    parents,
    optional,
  };
}

function fetchStep(
  fetch: string,
  { to = '.', checksum, unpack = false, owner, mode }: StepContent,
  at: TomlPath,
  context: StepContext,
): Omit<FetchStep, 'position'> | undefined {
  const source = parseFetchUrl(fetch);
  if (typeof source === 'string') return undefined;
  const problem = fetchProblem(source, { to, checksum, unpack });
  if (problem !== undefined) reportValue(problem.message, [...at, problem.key], context);
  return {
    verb: 'fetch',
    source,
    to,
    ...(checksum === undefined ? {} : { checksum }),
    unpack,
    ...(owner === undefined ? {} : { owner }),
    ...modeOf(mode),
  };
}

/** What of a fetch does not fit together; a URL alone is checked by the schema. */
function fetchProblem(
  source: FetchSource,
  { to, checksum, unpack }: { readonly to: string; readonly checksum: string | undefined; readonly unpack: boolean },
): { readonly key: string; readonly message: string } | undefined {
  if (source.kind === 'git') {
    if (unpack) return { key: 'unpack', message: 'a git repository is no archive; leave unpack away' };
    if (checksum === undefined || isCommit(checksum)) return undefined;
    return { key: 'checksum', message: 'the checksum of a git repository is its commit, 40 or 64 digits' };
  }
  if (checksum !== undefined && isCommit(checksum))
    return { key: 'checksum', message: 'the checksum of a file is written sha256: and 64 digits' };
  if (source.url.startsWith('http://') && checksum === undefined)
    return {
      key: 'fetch',
      message: 'anybody on the way can change what http:// brings; write https://, or a checksum',
    };
  if (!unpack && isFolder(to) && urlFileName(source.url) === undefined)
    return { key: 'fetch', message: 'this URL ends without the name of a file; say it in `to`' };
  return undefined;
}

function packagesStep(
  packages: readonly string[],
  { manager, recommends = false }: StepContent,
): Omit<PackagesStep, 'position'> {
  return {
    verb: 'packages',
    packages,
    ...(manager === 'apt' || manager === 'apk' || manager === 'dnf' ? { manager } : {}),
    recommends,
  };
}

const allPreserved: readonly Preserved[] = ['mode', 'owner', 'time', 'xattrs'];

function modeOf(mode: string | number | undefined): { readonly mode?: number } {
  const bits = typeof mode === 'string' ? findMode(mode) : mode;
  return bits === undefined ? {} : { mode: bits };
}

/** Whether a destination is written as a directory. */
function isFolder(to: string): boolean {
  return /(?:^|\/)\.{0,2}$/.test(to);
}
