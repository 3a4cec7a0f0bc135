import { type BuildfileContent, buildfileSchema } from './buildfile-schema.ts';
import type { BuildfilePart } from './parts.ts';
import { type Problem, quoted } from './problems.ts';
import { type TomlDocument, tableKeys } from './toml.ts';
import { validate } from './validate.ts';
import type { VariableScope } from './variables.ts';
import type { WhenContent } from './when-schema.ts';

/** A part that was compared with the format. What is wrong in it is left out. */
export interface ReadPart {
  readonly part: BuildfilePart;
  readonly content: BuildfileContent;
  readonly problems: readonly Problem[];
}

/**
 * Compares a part with the format, and replaces its variables. Where a `when` does not hold, texts are taken as they
 * are: they may be meant for other values.
 */
export function readPart(part: BuildfilePart, scope: VariableScope, holds: (when: WhenContent) => boolean): ReadPart {
  const { value, problems } = validate(buildfileSchema, part.document, {
    scope,
    // The schema has conditions of this kind alone.
    holds: (condition) => holds(condition as WhenContent),
  });
  return { part, content: value, problems: [...problems, ...shapeProblems(part)] };
}

/** Stage names in the order of the file, those of wrong stages included. */
export function stageNames(document: TomlDocument): readonly string[] {
  return tableKeys(document.value.stages);
}

/** Whether the file has stages; otherwise its top is the one stage. */
export function hasStages(document: TomlDocument): boolean {
  return document.has(['stages']);
}

const stageKeys = ['from', 'steps', 'image'];

/** What a schema cannot say: which keys exclude each other. */
function shapeProblems({ document, isMain }: BuildfilePart): Problem[] {
  const top = Object.keys(document.value);
  if (!isMain) {
    return top
      .filter((key) => stageKeys.includes(key) || key === 'default')
      .map((key) =>
        problemAt(`${quoted(key)} has no place in an included file; it holds args, stages and include`, key),
      );
  }
  if (!hasStages(document)) return [];
  return top
    .filter((key) => stageKeys.includes(key))
    .slice(0, 1)
    .map((key) =>
      problemAt(
        `${quoted(key)} stands outside the stages; a file has either one stage without a name, or [stages]`,
        key,
      ),
    );

  function problemAt(message: string, key: string): Problem {
    return { code: 'BUILDFILE_BAD_VALUE', message, position: document.keyPosition([key]) };
  }
}
