import type { StepContent } from '../buildfile/buildfile-schema.ts';
import { stepVerbs } from '../buildfile/buildfile-schema.ts';
import { findMode } from '../buildfile/formats.ts';
import type { TomlPath } from '../buildfile/toml.ts';
import { findVerb } from '../buildfile/verbs.ts';
import { copySource, type SourceContext } from './base-source.ts';
import { commandOf } from './image-changes.ts';
import type { CopyStep, RunStep, Step } from './plan.ts';

export interface StepContext extends SourceContext {
  /** What scripts find in their environment. */
  readonly args: Readonly<Record<string, string>>;
}

/** A step of the plan; undefined when it is wrong, which has been reported. */
export function planStep(content: StepContent, at: TomlPath, context: StepContext): Step | undefined {
  const found = findVerb(stepVerbs, Object.keys(content));
  if (found.kind !== 'one') return undefined;
  const position = context.document.keyPosition([...at, found.verb]);
  const common = content.name === undefined ? { position } : { position, title: content.name };
  const { workdir, user, env, shell } = content;
  if (content.run !== undefined) return { ...common, ...runStep(content.run, content, context) };
  if (content.copy !== undefined) {
    const step = copyStep(content.copy, content, at, context);
    return step === undefined ? undefined : { ...common, ...step };
  }
  if (workdir !== undefined) return { ...common, verb: 'workdir', path: workdir };
  if (user !== undefined) return { ...common, verb: 'user', user };
  if (env !== undefined) return { ...common, verb: 'env', env };
  return shell === undefined ? undefined : { ...common, verb: 'shell', shell };
}

function runStep(
  run: string | readonly string[],
  { env = {}, user, workdir, shell, network }: StepContent,
  { args }: StepContext,
): Omit<RunStep, 'position'> {
  return {
    verb: 'run',
    command: commandOf(run),
    env,
    args,
    ...(user === undefined ? {} : { user }),
    ...(workdir === undefined ? {} : { workdir }),
    ...(shell === undefined ? {} : { shell }),
    ...(network === 'none' || network === 'host' ? { network } : {}),
    mounts: [],
  };
}

function copyStep(
  copy: string | readonly string[],
  { from, to = '.', exclude = [], owner, mode, preserve = [] }: StepContent,
  at: TomlPath,
  context: StepContext,
): Omit<CopyStep, 'position'> | undefined {
  const source = copySource(from, [...at, 'from'], context);
  const paths = typeof copy === 'string' ? [copy] : copy;
  checkCopy(paths.length, to, mode !== undefined && preserve.length > 0, at, context);
  const bits = typeof mode === 'string' ? findMode(mode) : mode;
  if (source === undefined) return undefined;
  return {
    verb: 'copy',
    from: source,
    paths,
    to,
    exclude,
    ...(owner === undefined ? {} : { owner }),
    ...(bits === undefined ? {} : { mode: bits }),
    preserve: preserve.filter((what) => what === 'mode'),
    parents: false,
    optional: false,
  };
}

function checkCopy(count: number, to: string, hasTwoModes: boolean, at: TomlPath, context: StepContext): void {
  if (count > 1 && !/(?:^|\/)\.{0,2}$/.test(to)) {
    const message = 'several paths are copied, so the destination is a directory and ends with /';
    report(message, 'to');
  }
  if (hasTwoModes) report('mode and preserve = ["mode"] contradict each other', 'mode');

  function report(message: string, key: string): void {
    context.report({ code: 'BUILDFILE_BAD_VALUE', message, position: context.document.valuePosition([...at, key]) });
  }
}
