import { formatReference, type Platform, parseReference, type Reference, withDefaultTag } from '../../core/index.ts';
import { bootstrapKey } from '../base/bootstrap-base.ts';
import { gitPinKey, isCommit } from '../fetch/git-ref.ts';
import type { BootstrapSource, FetchStep, PackagesStep, Plan, PlanStage } from '../plan/plan.ts';
import { sourcesOf } from '../plan/stages-needed.ts';

/** Something a plan asks the network, whose answer is locked; the key is the lock file's. */
export type Question =
  | { readonly kind: 'images'; readonly key: string; readonly reference: Reference; readonly platform: Platform }
  | { readonly kind: 'urls'; readonly key: string }
  | { readonly kind: 'git'; readonly key: string; readonly url: string; readonly ref: string | undefined }
  | {
      readonly kind: 'bootstraps';
      readonly key: string;
      readonly source: BootstrapSource;
      readonly platform: Platform;
    };

/** A packages step: what it is called in a lock file shows only on its root file system. */
export interface PackagesQuestion {
  readonly plan: Plan;
  readonly stage: PlanStage;
  /** Among the stage's steps. */
  readonly index: number;
  readonly step: PackagesStep;
}

/** All that plans ask besides package sets, each once. What names its answer itself (a digest, a commit) asks nothing. */
export function questionsOf(plans: readonly Plan[]): Question[] {
  const questions = plans.flatMap((plan) => plan.stages.flatMap((stage) => stageQuestions(plan, stage)));
  return [...new Map(questions.map((question) => [`${question.kind} ${question.key}`, question])).values()];
}

/** In an order in which each finds those it builds on answered. */
export function packagesQuestionsOf(plans: readonly Plan[]): PackagesQuestion[] {
  return plans.flatMap((plan) =>
    plan.stages.flatMap((stage) =>
      stage.steps.flatMap((step, index) => (step.verb === 'packages' ? [{ plan, stage, index, step }] : [])),
    ),
  );
}

/** What leads to the root file system that a packages step starts from, and nothing else. */
export function planBefore({ plan, stage, index }: PackagesQuestion): Plan {
  // A test changes nothing.
  const steps = stage.steps.slice(0, index).filter(({ verb }) => verb !== 'test');
  const last: PlanStage = { ...stage, steps, image: {} };
  const needed = new Set<string>([last.name]);
  const stages: PlanStage[] = [];
  // Stages are in dependency order.
  for (const candidate of plan.stages.toReversed()) {
    if (!needed.has(candidate.name)) continue;
    const taken = candidate.name === last.name ? last : candidate;
    stages.unshift(taken);
    if (taken.base.kind === 'stage') needed.add(taken.base.stage);
    for (const source of taken.steps.flatMap(sourcesOf)) if (source.kind === 'stage') needed.add(source.stage);
  }
  return { ...plan, stages, targets: [last.name] };
}

function stageQuestions({ platform }: Plan, { base, steps }: PlanStage): Question[] {
  const questions: Question[] = [];
  if (base.kind === 'image') questions.push(...imageQuestions(base.reference, platform));
  if (base.kind === 'bootstrap')
    questions.push({ kind: 'bootstraps', key: bootstrapKey(base, platform), source: base, platform });
  for (const step of steps) {
    if (step.verb === 'fetch') questions.push(...fetchQuestions(step));
    for (const source of sourcesOf(step))
      if (source.kind === 'image') questions.push(...imageQuestions(source.reference, platform));
  }
  return questions;
}

function imageQuestions(text: string, platform: Platform): Question[] {
  const reference = withDefaultTag(parseReference(text));
  return reference.digest === undefined
    ? [{ kind: 'images', key: formatReference(reference), reference, platform }]
    : [];
}

function fetchQuestions({ source, checksum }: FetchStep): Question[] {
  if (checksum !== undefined) return [];
  if (source.kind === 'http') return [{ kind: 'urls', key: source.url }];
  const { url, ref } = source;
  return ref !== undefined && isCommit(ref) ? [] : [{ kind: 'git', key: gitPinKey(url, ref), url, ref }];
}
