import { listed, type Problem, quoted, suggest } from '../buildfile/problems.ts';
import type { Plan, PlanStage, Position } from './plan.ts';
import type { PlanOptions } from './plan-options.ts';
import { orderStages, type StageCycle, type StageDependency, shownCycle } from './stage-graph.ts';

/** A stage of a file, whatever the file's format, before it is known which ones the targets need. */
export interface StageDraft {
  readonly name: string;
  /** Undefined when it is wrong, which was reported, or absent. */
  readonly stage: PlanStage | undefined;
  /** Stages it takes something from. */
  readonly needs: readonly StageDependency[];
  /** Why this build does not have the stage: `only when …`. */
  readonly absent?: string;
}

/** What a file says besides its stages. */
export interface PlanFrame extends Pick<Plan, 'platform' | 'sourceDateEpoch'> {
  /** Stage that is built when no target is asked for; the last one unless said. */
  readonly default?: { readonly name: string; readonly position: Position } | undefined;
}

export interface AssembledPlan {
  /** Of use only when there are no problems. */
  readonly plan: Plan;
  readonly problems: readonly Problem[];
}

/** Chooses the targets and puts what they need in order. Stages are in the order of the file. */
export function assemblePlan(
  drafts: readonly StageDraft[],
  { default: usual, ...frame }: PlanFrame,
  asked: PlanOptions['targets'],
): AssembledPlan {
  const byName = new Map(drafts.map((draft) => [draft.name, draft]));
  const present = drafts.filter(({ absent }) => absent === undefined).map(({ name }) => name);
  const graph = new Map(drafts.map(({ name, needs }) => [name, needs]));
  // With no stage present, those that are absent say why.
  const wanted = targetsOf(asked, usual, present.length > 0 ? present : [...byName.keys()]);
  const targets = wanted.filter(({ name }) => byName.get(name)?.absent === undefined && byName.has(name));
  const { order } = orderStages(
    graph,
    targets.map(({ name }) => name),
  );
  return {
    plan: {
      ...frame,
      stages: order.flatMap((name) => byName.get(name)?.stage ?? []),
      targets: targets.map(({ name }) => name),
    },
    problems: [
      ...(usual === undefined || byName.has(usual.name) ? [] : [unknownStage(usual, byName.keys())]),
      ...orderStages(graph, present).cycles.map(cycleProblem),
      ...wanted.flatMap((target) => (byName.has(target.name) ? absentProblems(target, byName) : [])),
      ...wanted.flatMap((target) =>
        byName.has(target.name) || target === usual ? [] : [unknownStage(target, byName.keys())],
      ),
      ...order
        .flatMap((name) => graph.get(name) ?? [])
        .flatMap(({ stage, position }) => absentProblems({ name: stage, position }, byName)),
    ],
  };
}

interface WantedStage {
  readonly name: string;
  readonly position: Position;
}

/** What stands for the file in problems with `--target`. */
const targetOption: Position = { file: '--target', line: 1, column: 1 };

function targetsOf(
  asked: PlanOptions['targets'],
  usual: PlanFrame['default'],
  present: readonly string[],
): readonly WantedStage[] {
  const names = new Set(asked === 'all' ? present : asked);
  if (names.size > 0) return Array.from(names, (name) => ({ name, position: targetOption }));
  if (usual !== undefined) return [usual];
  const last = present.at(-1);
  return last === undefined ? [] : [{ name: last, position: targetOption }];
}

function absentProblems({ name, position }: WantedStage, drafts: ReadonlyMap<string, StageDraft>): Problem[] {
  const why = drafts.get(name)?.absent;
  if (why === undefined) return [];
  return [{ code: 'BUILDFILE_ABSENT_STAGE', message: `stage ${quoted(name)} is there ${why}`, position }];
}

function unknownStage({ name, position }: WantedStage, stages: Iterable<string>): Problem {
  const names = [...stages];
  const message = `unknown stage ${quoted(name)}; this file has ${listed(names)}`;
  return { code: 'BUILDFILE_UNKNOWN_STAGE', message, position, ...suggest(name, names) };
}

function cycleProblem({ path, position }: StageCycle): Problem {
  const hint = path.length === 2 ? `; write ${quoted(`${path[0]}:latest`)} when the image is meant` : '';
  return { code: 'BUILDFILE_CYCLE', message: `stages need each other: ${shownCycle(path)}${hint}`, position };
}
