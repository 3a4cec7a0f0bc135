import path from 'node:path';
import { quoted } from '../../buildfile/problems.ts';
import { tableKeys } from '../../buildfile/toml.ts';
import type { LintFile, Span } from '../lint-file.ts';
import { type Rule, valueBreach } from '../rule.ts';
import { fromBelow, type LintStage, type LintSubject, sourcesOfStage } from '../subject.ts';

export const unusedStage: Rule = {
  name: 'unused-stage',
  severity: 'note',
  what: 'A stage that the usual target does not need, and no other stage.',
  why: 'Either it is forgotten, or only `--target` and `--all` build it.',
  *check({ stages, needed }) {
    const used = new Set(needed);
    for (const stage of stages.values())
      for (const { source } of sourcesOfStage(stage)) if (source.kind === 'stage') used.add(source.stage);
    for (const stage of stages.values()) {
      const { name, file, at } = stage;
      if (used.has(name) || stage.content.when !== undefined) continue;
      const message = `nothing needs stage ${quoted(name)}; only --target ${name} and --all build it`;
      yield { file, at, span: stageSpan(stage), message };
    }
  },
};

export const unusedArg: Rule = {
  name: 'unused-arg',
  severity: 'note',
  what: 'An argument that no text, condition or script names.',
  why: 'Giving it a value changes nothing, unless a program that a script starts finds it in its environment.',
  *check({ files, args }) {
    const used = new Set<string>();
    for (const { part } of files) collectNames(part.document.value, used);
    for (const { name, document } of args.values()) {
      const file = files.find(({ part }) => part.document === document);
      if (file === undefined || used.has(name)) continue;
      const at = ['args', name];
      yield { file, at, span: file.keySpan(at), message: `nothing names argument ${quoted(name)}` };
    }
  },
};

export const unusedInclude: Rule = {
  name: 'unused-include',
  severity: 'warning',
  what: 'An included file of which nothing is used.',
  why: 'Its arguments and stages stand in the way of other names, and it is read by every build.',
  *check(subject) {
    const used = usedFiles(subject);
    const byPath = new Map(subject.files.map((file) => [pathOf(file), file]));
    // What only an unused file includes goes with it.
    for (const file of used) {
      for (const [index, included] of includesOf(file).entries()) {
        const target = byPath.get(pathOfInclude(file, included));
        if (target === undefined || used.has(target)) continue;
        yield valueBreach(file, ['include', index], `nothing of ${quoted(included)} is used`);
      }
    }
  },
};

export const runsAsRoot: Rule = {
  name: 'runs-as-root',
  severity: 'note',
  what: 'A result that names no user, or root.',
  why: 'Whoever breaks out of the program has all rights in the container, and fewer walls around it.',
  *check({ stages, targets }) {
    const userBelow = fromBelow(stages, userOf);
    for (const target of targets) {
      const stage = stages.get(target);
      if (stage === undefined) continue;
      const { user, isSure } = userOf(stage, userBelow(stage));
      if (user !== undefined && !/^(?:root|0)(?::|$)/.test(user)) continue;
      const message =
        user === undefined && !isSure
          ? 'this image names no user: it runs as root unless its base says otherwise; write user in its [image]'
          : 'this image runs as root; write user = "nobody", or a user of its own, in its [image]';
      yield { file: stage.file, at: stage.at.length === 0 ? ['from'] : stage.at, span: stageSpan(stage), message };
    }
  },
};

export const layerNameApart: Rule = {
  name: 'layer-name-apart',
  severity: 'warning',
  what: 'Steps of one stage with the same `layer` that are no neighbours.',
  why: 'Only neighbours share a layer: these make several.',
  *check({ stages }) {
    for (const { steps } of stages.values()) {
      const seen = new Set<string>();
      let before: string | undefined;
      for (const { content, file, at } of steps) {
        const { layer } = content;
        if (layer !== undefined && layer !== before && seen.has(layer)) {
          const message = `an earlier layer ${quoted(layer)} has ended; move the step to its neighbours, or give another name`;
          yield valueBreach(file, [...at, 'layer'], message);
        }
        if (layer !== undefined) seen.add(layer);
        before = layer;
      }
    }
  },
};

export const relativeWorkdir: Rule = {
  name: 'relative-workdir',
  severity: 'warning',
  what: 'A relative `workdir` where only the base knows what it is relative to.',
  why: 'When the base moves its working directory, everything lies elsewhere.',
  *check({ stages }) {
    const knownBelow = fromBelow(stages, leavesKnownWorkdir);
    for (const stage of stages.values()) {
      let isKnown = knownBelow(stage) ?? isEmptyBase(stage);
      for (const { verb, content, file, at } of stage.steps) {
        const { workdir } = content;
        if (workdir === undefined || isAbsolute(workdir)) isKnown ||= verb === 'workdir';
        else if (!isKnown) {
          const message = `${quoted(workdir)} is below whatever the base's working directory is; write an absolute path`;
          yield valueBreach(file, [...at, 'workdir'], message);
        }
      }
    }
  },
};

function stageSpan({ file, at }: LintStage): Span {
  return file.keySpan(at.length === 0 ? ['from'] : at);
}

/** Every word of every text that could be an argument, and the names in conditions. */
function collectNames(value: unknown, names: Set<string>): void {
  if (typeof value === 'string') for (const [name] of value.matchAll(/[A-Za-z_][A-Za-z0-9_]*/g)) names.add(name);
  if (typeof value !== 'object' || value === null) return;
  for (const [key, inner] of Object.entries(value)) {
    if (key === 'when' && typeof inner === 'object' && inner !== null)
      for (const name of Object.keys(inner)) names.add(name);
    collectNames(inner, names);
  }
}

/** Files with something that the Buildfile uses, and those that include them. */
function usedFiles({ files, stages, needed, targets }: LintSubject): ReadonlySet<LintFile> {
  const names = new Set<string>([...targets, ...needed]);
  for (const { part } of files) collectNames(part.document.value, names);
  for (const stage of stages.values())
    for (const { source } of sourcesOfStage(stage)) if (source.kind === 'stage') names.add(source.stage);
  const used = new Set<LintFile>();
  const usedPaths = new Set<string>();
  // A file comes after those it includes.
  for (const file of files) {
    const { args, stages: own } = file.part.document.value;
    const isUsed = [...tableKeys(args), ...tableKeys(own)].some((name) => names.has(name));
    const includesUsed = includesOf(file).some((included) => usedPaths.has(pathOfInclude(file, included)));
    if (!file.part.isMain && !isUsed && !includesUsed) continue;
    used.add(file);
    usedPaths.add(pathOf(file));
  }
  return used;
}

function includesOf({ part }: LintFile): readonly string[] {
  const { include } = part.document.value;
  return Array.isArray(include) ? include.filter((entry) => typeof entry === 'string') : [];
}

function pathOf({ name, part }: LintFile): string {
  return path.join(part.folder, path.basename(name));
}

function pathOfInclude({ part }: LintFile, included: string): string {
  return path.resolve(part.folder, included);
}

interface StageUser {
  readonly user: string | undefined;
  /** Whether it is sure that nothing else sets one. */
  readonly isSure: boolean;
}

/** The user at a stage's end. */
function userOf(stage: LintStage, below: StageUser | undefined): StageUser {
  const own = stage.content.image?.user ?? stage.steps.findLast(({ verb }) => verb === 'user')?.content.user;
  if (own !== undefined) return { user: own, isSure: true };
  return below ?? { user: undefined, isSure: isEmptyBase(stage) };
}

/** Whether the file says what the working directory at a stage's end is. */
function leavesKnownWorkdir(stage: LintStage, below: boolean | undefined): boolean {
  const { content, steps } = stage;
  if (content.image?.workdir !== undefined || (below ?? isEmptyBase(stage))) return true;
  return steps.some(({ verb, content: step }) => verb === 'workdir' && isAbsolute(step.workdir ?? ''));
}

/** Its user is root and its working directory is /, as nothing says otherwise. */
function isEmptyBase({ base, content }: LintStage): boolean {
  return base?.kind === 'scratch' || base?.kind === 'bootstrap' || typeof content.from === 'object';
}

/** A variable without a known value may begin with anything. */
function isAbsolute(workdir: string): boolean {
  return workdir.startsWith('/') || workdir.startsWith('${');
}
