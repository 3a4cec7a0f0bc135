import { ToolError } from '../../core/index.ts';
import type { Plan, PlanStage, Step } from '../plan/plan.ts';
import { stagesNeededBy } from '../plan/stages-needed.ts';
import { stepText } from './assemble.ts';

/** A step as progress counts it: from 1, without the settings between. */
interface CountedStep {
  readonly stage: PlanStage;
  readonly number: number;
  /** In the stage's steps. */
  readonly index: number;
  readonly step: Step;
}

const shownSteps = 40;
const shownCharacters = 60;
const settings: ReadonlySet<Step['verb']> = new Set(['user', 'env', 'shell']);

/**
 * The plan of a build that ends after one step: its stage is the only target, and only what that needs is left. A step
 * is meant by its name, by `STAGE:NUMBER` or, in the only target, by its number; number 0 is the stage's base.
 * @throws ToolError USAGE_UNTIL, which lists the steps
 */
export function planUntil(plan: Plan, wanted: string): Plan {
  const { stage, index } = findStep(plan, wanted);
  const cut = { ...stage, steps: stage.steps.slice(0, index + 1), image: {} };
  const stages = new Map(plan.stages.map((other) => [other.name, other.name === stage.name ? cut : other]));
  const needed = new Set<string>();
  const pending = [stage.name];
  for (let name = pending.pop(); name !== undefined; name = pending.pop()) {
    const found = stages.get(name);
    if (found === undefined || needed.has(name)) continue;
    needed.add(name);
    pending.push(...stagesNeededBy(found));
  }
  return {
    ...plan,
    stages: [...stages.values()].filter(({ name }) => needed.has(name)),
    targets: [stage.name],
  };
}

function findStep(plan: Plan, wanted: string): Pick<CountedStep, 'stage' | 'index'> {
  const steps = plan.stages.flatMap(countedSteps);
  const named = plan.stages.flatMap((stage) =>
    stage.steps.flatMap(({ title }, index) => (title === wanted ? [{ stage, index }] : [])),
  );
  const [first, second] = named;
  if (second !== undefined) throw noStep(wanted, 'several steps have that name', steps);
  if (first !== undefined) return first;
  const [, stageName, digits] = /^(?:(.+):)?(\d{1,9})$/.exec(wanted) ?? [];
  if (digits === undefined) throw noStep(wanted, 'no step has that name', steps);
  if (stageName === undefined && plan.targets.length > 1) {
    throw noStep(wanted, 'there are several targets; write STAGE:NUMBER', steps);
  }
  const stage = plan.stages.find(({ name }) => name === (stageName ?? plan.targets[0]));
  if (stage === undefined) throw noStep(wanted, `this build has no stage ${stageName}`, steps);
  if (Number(digits) === 0) return { stage, index: -1 };
  const found = steps.find((step) => step.stage === stage && step.number === Number(digits));
  if (found === undefined) throw noStep(wanted, `stage ${stage.name} has no step of that number`, steps);
  return found;
}

function countedSteps(stage: PlanStage): CountedStep[] {
  let number = 0;
  return stage.steps.flatMap((step, index) =>
    settings.has(step.verb) ? [] : [{ stage, number: ++number, index, step }],
  );
}

function noStep(wanted: string, problem: string, steps: readonly CountedStep[]): ToolError {
  const lines = steps
    .slice(0, shownSteps)
    .map(({ stage, number, step }) => `\n    ${stage.name}:${number}  ${step.title ?? shortened(stepText(step))}`);
  const more = steps.length > shownSteps ? `\n    and ${steps.length - shownSteps} more` : '';
  return new ToolError('USAGE_UNTIL', `--until ${wanted}: ${problem}`, {
    hint: steps.length === 0 ? 'this build has no steps' : `the steps are${lines.join('')}${more}`,
  });
}

function shortened(text: string): string {
  const line = text.trim().replace(/\s+/g, ' ');
  return line.length > shownCharacters ? `${line.slice(0, shownCharacters - 1)}…` : line;
}
