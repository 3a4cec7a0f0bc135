import { type DeclaredArg, declaredArgs } from '../buildfile/declared-args.ts';
import { type DeclaredStage, declaredStages } from '../buildfile/declared-stages.ts';
import { type FileText, parseParts } from '../buildfile/parts.ts';
import { readPart } from '../buildfile/read.ts';
import type { TomlPath } from '../buildfile/toml.ts';
import type { LockContent } from '../lock/lock-content.ts';
import { resolveArguments } from '../plan/arguments.ts';
import { holds } from '../plan/conditions.ts';
import type { BaseSource, CopySource } from '../plan/plan.ts';
import type { PlanOptions } from '../plan/plan-options.ts';
import { findBase, findCopySource, type SourceNames } from '../plan/sources.ts';
import type { ContextFacts } from './context-facts.ts';
import type { IgnoreComments } from './ignore-comments.ts';
import { LintFile } from './lint-file.ts';
import { type LintStep, lintSteps } from './lint-step.ts';

/** All that rules look at. */
export interface LintSubject extends ReadBuildfile {
  readonly facts: ContextFacts;
  /** What Buildfile.lock says, where there is one. */
  readonly lock: LockContent | undefined;
  /** What comments take out. */
  readonly ignores: ReadonlyMap<LintFile, IgnoreComments>;
  /** Names of all rules. */
  readonly ruleNames: readonly string[];
}

/** A Buildfile without mistakes, and what it includes. Variables are replaced where their values are known. */
export interface ReadBuildfile {
  /** Included ones first, the Buildfile itself last. */
  readonly files: readonly LintFile[];
  readonly args: ReadonlyMap<string, DeclaredArg>;
  readonly stages: ReadonlyMap<string, LintStage>;
  /** Names of the stages whose ends are results. */
  readonly targets: readonly string[];
  /** The targets and what they need. */
  readonly needed: ReadonlySet<string>;
}

export interface LintStage extends Pick<DeclaredStage, 'name' | 'content' | 'at'> {
  readonly file: LintFile;
  readonly base: BaseSource | undefined;
  readonly steps: readonly LintStep[];
}

export function readBuildfile(main: FileText, options: PlanOptions): ReadBuildfile {
  const { parts } = parseParts(main, options.includes);
  const { args } = declaredArgs(parts);
  const { scope } = resolveArguments(args, options);
  const read = parts.map((part) => readPart(part, scope, (when) => holds(when, scope)));
  const files = new Map(parts.map((part) => [part, new LintFile(part)]));
  const declared = declaredStages(read).stages;
  const names = {
    stages: new Set(declared.keys()),
    contexts: options.contexts ?? new Map(),
    imageName: options.imageName,
  };
  const stages = new Map<string, LintStage>();
  for (const [name, { content, at, part }] of declared) {
    const file = files.get(part);
    if (file === undefined) continue;
    const here = { ...names, baseFolder: part.folder };
    const steps = lintSteps(content.steps ?? [], [...at, 'steps'], file, (from) => sourceOf(from, here));
    stages.set(name, { name, content, at, file, base: baseOf(content.from, here), steps });
  }
  const present = [...declared.values()].filter(({ content }) => holds(content.when ?? {}, scope));
  const usual = read.at(-1)?.content.default ?? present.at(-1)?.name;
  const targets =
    options.targets === 'all'
      ? present.map(({ name }) => name)
      : options.targets.length > 0
        ? options.targets
        : usual === undefined
          ? []
          : [usual];
  return { files: [...files.values()], args, stages, targets, needed: neededBy(targets, stages) };
}

/** Where everything of a stage's base and steps comes from, and where that is written. */
export function* sourcesOfStage({ base, content, at, steps }: LintStage): Generator<{
  readonly from: string | undefined;
  readonly source: BaseSource | CopySource;
  readonly at: TomlPath;
}> {
  const from = typeof content.from === 'string' ? content.from : undefined;
  if (base !== undefined) yield { from, source: base, at: [...at, 'from'] };
  for (const step of steps) yield* step.sources;
}

export function* allSteps({ stages }: Pick<ReadBuildfile, 'stages'>): Generator<LintStep> {
  for (const { steps } of stages.values()) yield* steps;
}

/**
 * Something of each stage that it has from the one below it, unless it says otherwise. Each stage is looked at once,
 * however long the chains are; a circle is cut, as circles of stages that are not there are nobody's mistake.
 */
export function fromBelow<T>(
  stages: ReadonlyMap<string, LintStage>,
  take: (stage: LintStage, below: T | undefined) => T,
): (stage: LintStage) => T | undefined {
  const below = ({ base }: LintStage) => (base?.kind === 'stage' ? stages.get(base.stage) : undefined);
  const values = new Map<LintStage, T>();
  for (const stage of stages.values()) {
    const chain = new Set<LintStage>();
    for (let next: LintStage | undefined = stage; next !== undefined; next = below(next)) {
      if (values.has(next) || chain.has(next)) break;
      chain.add(next);
    }
    for (const one of [...chain].reverse()) {
      const under = below(one);
      values.set(one, take(one, under === undefined ? undefined : values.get(under)));
    }
  }
  return (stage) => {
    const under = below(stage);
    return under === undefined ? undefined : values.get(under);
  };
}

function baseOf(from: LintStage['content']['from'], names: SourceNames): BaseSource | undefined {
  if (typeof from !== 'string') return undefined;
  const found = findBase(from, names);
  return 'source' in found ? found.source : undefined;
}

function sourceOf(from: string | undefined, names: SourceNames): CopySource | undefined {
  const found = findCopySource(from, names);
  return 'source' in found ? found.source : undefined;
}

function neededBy(targets: readonly string[], stages: ReadonlyMap<string, LintStage>): ReadonlySet<string> {
  const needed = new Set<string>();
  const open = [...targets];
  for (let name = open.pop(); name !== undefined; name = open.pop()) {
    const stage = stages.get(name);
    if (needed.has(name) || stage === undefined) continue;
    needed.add(name);
    for (const { source } of sourcesOfStage(stage)) if (source.kind === 'stage') open.push(source.stage);
  }
  return needed;
}
