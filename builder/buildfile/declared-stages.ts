import type { StageContent } from './buildfile-schema.ts';
import type { BuildfilePart } from './parts.ts';
import { type Problem, placeOf, quoted } from './problems.ts';
import { hasStages, type ReadPart, stageNames } from './read.ts';
import type { TomlPath } from './toml.ts';

/** What the one stage of a file without `[stages]` is called. */
const unnamedStage = 'main';

/** A stage as it was written. */
export interface DeclaredStage {
  readonly name: string;
  readonly content: StageContent;
  readonly part: BuildfilePart;
  readonly at: TomlPath;
}

export interface DeclaredStages {
  /** Included ones first, otherwise in the order of the file. */
  readonly stages: ReadonlyMap<string, DeclaredStage>;
  readonly problems: readonly Problem[];
}

/** The stages of all parts; each name is there once. */
export function declaredStages(parts: readonly ReadPart[]): DeclaredStages {
  const stages = new Map<string, DeclaredStage>();
  const problems: Problem[] = [];
  for (const stage of parts.flatMap(stagesOf)) {
    const before = stages.get(stage.name);
    if (before === undefined) stages.set(stage.name, stage);
    else {
      const message = `stage ${quoted(stage.name)} is there twice, first at ${placeOf(positionOf(before))}`;
      problems.push({ code: 'BUILDFILE_DUPLICATE', message, position: positionOf(stage) });
    }
  }
  const main = parts.at(-1)?.part.document;
  if (main !== undefined && !main.has(['from']) && (stages.size === 0 || stages.get(unnamedStage)?.at.length === 0)) {
    const message = '`from` is missing; write from = "IMAGE", from = "scratch", or stages';
    problems.push({ code: 'BUILDFILE_MISSING_KEY', message, position: main.keyPosition([]) });
  }
  return { stages, problems };
}

/** Where messages say that a stage is. */
export function positionOf({ part, at }: DeclaredStage): Problem['position'] {
  return part.document.keyPosition(at.length === 0 ? ['from'] : at);
}

function stagesOf({ part, content }: ReadPart): DeclaredStage[] {
  const { document, isMain } = part;
  if (hasStages(document)) {
    const stages = content.stages ?? {};
    return stageNames(document).map((name) => ({
      name,
      content: (Object.hasOwn(stages, name) ? stages[name] : undefined) ?? {},
      part,
      at: ['stages', name],
    }));
  }
  const isStage = ['from', 'steps', 'image'].some((key) => document.has([key]));
  return isMain && isStage ? [{ name: unnamedStage, content, part, at: [] }] : [];
}
