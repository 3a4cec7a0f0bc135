import { type DeclaredStage, positionOf } from '../buildfile/declared-stages.ts';
import type { Problem } from '../buildfile/problems.ts';
import type { StepContent } from '../buildfile/step-schema.ts';
import type { TomlDocument, TomlPath } from '../buildfile/toml.ts';
import type { StageDraft } from './assemble-plan.ts';
import { baseSource } from './base-source.ts';
import { type ConditionScope, conditionProblems, holds } from './conditions.ts';
import { imageChanges } from './image-changes.ts';
import type { CopySource, Step } from './plan.ts';
import { planStep, type StepContext } from './plan-step.ts';
import type { SourceNames } from './sources.ts';
import type { StageDependency } from './stage-graph.ts';

/** What all stages of a Buildfile share. */
export interface StagesContext {
  readonly scope: ConditionScope;
  /** What scripts find in their environment. */
  readonly args: Readonly<Record<string, string>>;
  /** Without the folder, which is that of the file. */
  readonly names: Omit<SourceNames, 'baseFolder'>;
  /** Stages whose `when` does not hold, and why. */
  readonly absent: ReadonlyMap<string, string>;
  readonly report: (problem: Problem) => void;
}

/** Plans one stage; what is wrong is reported. A stage or step whose `when` does not hold is checked for that alone. */
export function planStage(declared: DeclaredStage, shared: StagesContext): StageDraft {
  const { name, content, part, at } = declared;
  const { document } = part;
  const { scope, report } = shared;
  const context: StepContext = {
    document,
    names: { ...shared.names, baseFolder: part.folder },
    report,
    args: shared.args,
  };
  for (const problem of conditionProblems(content.when ?? {}, [...at, 'when'], document, scope)) report(problem);
  const absent = shared.absent.get(name);
  if (absent !== undefined) return { name, stage: undefined, needs: [], absent };
  const fromAt = [...at, 'from'];
  const base = content.from === undefined ? undefined : baseSource(content.from, fromAt, context);
  const needs: StageDependency[] = [];
  if (base?.kind === 'stage') needs.push({ stage: base.stage, position: document.valuePosition(fromAt) });
  const steps = (content.steps ?? []).flatMap((step, index) => {
    const stepAt = [...at, 'steps', index];
    const planned = plannedStep(step, stepAt, context, shared);
    if (planned === undefined) return [];
    needs.push(...dependencies(planned, stepAt, document));
    return [planned];
  });
  const position = positionOf(declared);
  const image = imageChanges(content.image ?? {});
  return { name, stage: base === undefined ? undefined : { name, base, steps, image, position }, needs };
}

function plannedStep(
  content: StepContent,
  at: TomlPath,
  context: StepContext,
  { scope, absent, report }: StagesContext,
): Step | undefined {
  const { when = {} } = content;
  for (const problem of conditionProblems(when, [...at, 'when'], context.document, scope)) report(problem);
  if (!holds(when, scope)) return undefined;
  const step = planStep(content, at, context);
  if (step?.verb !== 'copy' || !step.optional) return step;
  return step.from.kind === 'stage' && absent.has(step.from.stage) ? undefined : step;
}

/** The stages a step takes something from, and where it says so. */
function dependencies(step: Step, at: TomlPath, document: TomlDocument): readonly StageDependency[] {
  switch (step.verb) {
    case 'copy':
      return dependency(step.from, [...at, 'from'], document);
    case 'run':
    case 'test':
      return step.mounts.flatMap((mount, index) =>
        mount.kind === 'bind' ? dependency(mount.from, [...at, 'mounts', index, 'from'], document) : [],
      );
    default:
      return [];
  }
}

function dependency(source: CopySource, at: TomlPath, document: TomlDocument): readonly StageDependency[] {
  return source.kind === 'stage' ? [{ stage: source.stage, position: document.valuePosition(at) }] : [];
}
