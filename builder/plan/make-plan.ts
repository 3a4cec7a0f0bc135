import type { BuildfileContent, StageContent } from '../buildfile/buildfile-schema.ts';
import { BuildfileError, listed, type Problem, quoted, suggest } from '../buildfile/problems.ts';
import { type Buildfile, knownNames, stageNames, validateBuildfile } from '../buildfile/read.ts';
import { parseToml, type TomlDocument, type TomlPath } from '../buildfile/toml.ts';
import { resolveArguments, sourceDateEpochOf } from './arguments.ts';
import { baseSource } from './base-source.ts';
import { imageChanges } from './image-changes.ts';
import type { Plan, PlanStage, Step } from './plan.ts';
import type { PlanOptions } from './plan-options.ts';
import { planStep, type StepContext } from './plan-step.ts';
import { orderStages, type StageCycle, type StageDependency } from './stage-graph.ts';

/** What the one stage of a file without `[stages]` is called. */
export const unnamedStage = 'main';

/**
 * Makes the plan of a Buildfile that was read before.
 * @throws BuildfileError with all problems: unknown target, argument, stage or variable, cycle, missing argument
 */
export function makePlan(buildfile: Buildfile, options: PlanOptions): Plan {
  return planDocument(buildfile.document, options);
}

/**
 * Reads a Buildfile and makes its plan, so that problems of the format and of the plan are reported together.
 * @throws BuildfileError with all problems
 */
export function planBuildfile(text: string, file: string, options: PlanOptions): Plan {
  return planDocument(parseToml(text, file), options);
}

function planDocument(document: TomlDocument, options: PlanOptions): Plan {
  const problems: Problem[] = [];
  // Arguments are read first and alone, as all other texts may use them.
  const { args } = validateBuildfile(document, { names: knownNames(document), values: undefined }).value;
  const { scope, problems: argumentProblems } = resolveArguments(args, document, options);
  const { value: content, problems: formatProblems } = validateBuildfile(document, scope);
  const written = writtenStages(content, document);
  const stages = new Set(written.keys());
  const report = (problem: Problem) => problems.push(problem);
  const context = {
    document,
    stages,
    baseFolder: options.baseFolder,
    report,
    args: Object.fromEntries(scope.values),
  };
  const planned = new Map(Array.from(written, ([name, stage]) => [name, planStage(name, stage, context)]));
  const targets = findTargets(content, stages, document, options, report);
  const graph = new Map(Array.from(planned, ([name, stage]) => [name, stage.needs]));
  for (const cycle of orderStages(graph, stages).cycles) report(cycleProblem(cycle));
  const all = [...formatProblems, ...argumentProblems, ...problems];
  if (all.length > 0 || targets.length === 0) throw new BuildfileError(all, new Map([[document.file, document.text]]));
  const sourceDateEpoch = sourceDateEpochOf(options);
  return {
    platform: options.platform,
    stages: orderStages(graph, targets).order.flatMap((name) => planned.get(name)?.stage ?? []),
    targets,
    ...(sourceDateEpoch === undefined ? {} : { sourceDateEpoch }),
  };
}

function cycleProblem({ path, position }: StageCycle): Problem {
  const shown = path.length > 20 ? [...path.slice(0, 10), '…', ...path.slice(-10)] : path;
  const hint = path.length === 2 ? `; write ${quoted(`${path[0]}:latest`)} when the image is meant` : '';
  const message = `stages need each other: ${shown.map(quoted).join(' → ')}${hint}`;
  return { code: 'BUILDFILE_CYCLE', message, position };
}

interface WrittenStage {
  readonly content: StageContent;
  readonly at: TomlPath;
}

function writtenStages(content: BuildfileContent, document: TomlDocument): ReadonlyMap<string, WrittenStage> {
  if (!document.has(['stages'])) return new Map([[unnamedStage, { content, at: [] }]]);
  const stages = content.stages ?? {};
  return new Map(
    stageNames(document).map((name) => [
      name,
      { content: (Object.hasOwn(stages, name) ? stages[name] : undefined) ?? {}, at: ['stages', name] },
    ]),
  );
}

interface PlannedStage {
  /** Undefined when its base is wrong. */
  readonly stage: PlanStage | undefined;
  readonly needs: readonly StageDependency[];
}

function planStage(name: string, { content, at }: WrittenStage, context: StepContext): PlannedStage {
  const { document } = context;
  const base = content.from === undefined ? undefined : baseSource(content.from, [...at, 'from'], context);
  const steps: Step[] = [];
  const needs: StageDependency[] = [];
  if (base?.kind === 'stage') needs.push({ stage: base.stage, position: document.valuePosition([...at, 'from']) });
  for (const [index, step] of (content.steps ?? []).entries()) {
    const stepAt = [...at, 'steps', index];
    const planned = planStep(step, stepAt, context);
    if (planned === undefined) continue;
    steps.push(planned);
    if (planned.verb === 'copy' && planned.from.kind === 'stage') {
      needs.push({ stage: planned.from.stage, position: document.valuePosition([...stepAt, 'from']) });
    }
  }
  const position = document.keyPosition(at.length === 0 ? ['from'] : at);
  const stage =
    base === undefined ? undefined : { name, base, steps, image: imageChanges(content.image ?? {}), position };
  return { stage, needs };
}

function findTargets(
  content: BuildfileContent,
  stages: ReadonlySet<string>,
  document: TomlDocument,
  options: PlanOptions,
  report: (problem: Problem) => void,
): readonly string[] {
  const { targets } = options;
  const asked = new Set(targets === 'all' ? stages : targets);
  for (const target of asked) {
    if (!stages.has(target)) report(unknownStage(target, stages, { file: '--target', line: 1, column: 1 }));
  }
  if (content.default !== undefined && !stages.has(content.default)) {
    report(unknownStage(content.default, stages, document.valuePosition(['default'])));
  }
  if (asked.size > 0) return [...asked];
  const chosen = content.default ?? [...stages].at(-1);
  return chosen === undefined ? [] : [chosen];
}

function unknownStage(name: string, stages: ReadonlySet<string>, position: Problem['position']): Problem {
  const message = `unknown stage ${quoted(name)}; this file has ${listed(stages)}`;
  return { code: 'BUILDFILE_UNKNOWN_STAGE', message, position, ...suggest(name, stages) };
}
