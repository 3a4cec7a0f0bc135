import type { CopySource, PlanStage, Step } from './plan.ts';

/** Stages a step takes something from. */
export function stagesNeeded(step: Step): readonly string[] {
  return sourcesOf(step).flatMap((source) => (source.kind === 'stage' ? [source.stage] : []));
}

/** Stages that a stage starts from or takes something from; each once. */
export function stagesNeededBy(stage: PlanStage): readonly string[] {
  const base = stage.base.kind === 'stage' ? [stage.base.stage] : [];
  return [...new Set([...base, ...stage.steps.flatMap(stagesNeeded)])];
}

/** Everything a step takes files from. */
export function sourcesOf(step: Step): readonly CopySource[] {
  switch (step.verb) {
    case 'copy':
      return [step.from];
    case 'run':
    case 'test':
      return step.mounts.flatMap((mount) => (mount.kind === 'bind' ? [mount.from] : []));
    default:
      return [];
  }
}
