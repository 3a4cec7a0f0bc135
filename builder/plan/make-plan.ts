import { declaredArgs } from '../buildfile/declared-args.ts';
import { declaredStages } from '../buildfile/declared-stages.ts';
import { parseParts } from '../buildfile/parts.ts';
import { BuildfileError, type Problem } from '../buildfile/problems.ts';
import { readPart } from '../buildfile/read.ts';
import { resolveArguments, sourceDateEpochOf } from './arguments.ts';
import { assemblePlan } from './assemble-plan.ts';
import { holds, whyNot } from './conditions.ts';
import type { Plan } from './plan.ts';
import type { PlanOptions } from './plan-options.ts';
import { planStage } from './plan-stage.ts';

/**
 * Reads a Buildfile and makes its plan. Problems of the format and of the plan are reported together.
 * @throws BuildfileError with all problems: of the text, unknown target, argument, stage or variable, cycle, missing
 *   argument
 */
export function planBuildfile(text: string, file: string, options: PlanOptions): Plan {
  const { main, parts, problems, texts } = parseParts(
    { name: file, folder: options.baseFolder, text },
    options.includes,
  );
  // Arguments are read first and alone, as all other texts may use them.
  const declared = declaredArgs(parts);
  const { scope, problems: argumentProblems } = resolveArguments(declared.args, options);
  const read = parts.map((part) => readPart(part, scope, (when) => holds(when, scope)));
  const { stages, problems: stageProblems } = declaredStages(read);
  const absent = new Map(
    Array.from(stages.values()).flatMap(({ name, content }) => {
      const why = whyNot(content.when ?? {}, scope);
      return why === undefined ? [] : [[name, why] as const];
    }),
  );
  const found: Problem[] = [];
  const names = {
    stages: new Set(stages.keys()),
    contexts: options.contexts ?? new Map(),
    imageName: options.imageName,
  };
  const args = Object.fromEntries(scope.values);
  const shared = { scope, args, names, absent, report: (problem: Problem) => found.push(problem) };
  const drafts = Array.from(stages.values(), (stage) => planStage(stage, shared));
  const sourceDateEpoch = sourceDateEpochOf(options);
  const usual = read.at(-1)?.content.default;
  const { plan, problems: planProblems } = assemblePlan(
    drafts,
    {
      platform: options.platform,
      ...(sourceDateEpoch === undefined ? {} : { sourceDateEpoch }),
      default: usual === undefined ? undefined : { name: usual, position: main.document.valuePosition(['default']) },
    },
    options.targets,
  );
  const all = [
    ...declared.problems,
    ...argumentProblems,
    ...read.flatMap((part) => part.problems),
    ...stageProblems,
    ...found,
    ...planProblems,
  ];
  // A file that could not be read may hold every name that seems unknown.
  const told = problems.length > 0 ? [...problems, ...all.filter(({ code }) => !unknownNames.has(code))] : all;
  if (told.length > 0 || plan.targets.length === 0) throw new BuildfileError(told, texts);
  return plan;
}

const unknownNames: ReadonlySet<string> = new Set([
  'BUILDFILE_UNKNOWN_ARG',
  'BUILDFILE_UNKNOWN_STAGE',
  'BUILDFILE_MISSING_KEY',
]);
