import { type BuildfileContent, buildfileSchema } from './buildfile-schema.ts';
import { BuildfileError, type Problem } from './problems.ts';
import { parseToml, type TomlDocument } from './toml.ts';
import { type Validated, validate } from './validate.ts';
import type { VariableScope } from './variables.ts';

/** A Buildfile that is well formed. Variables are still in it; `makePlan` replaces them. */
export interface Buildfile {
  readonly document: TomlDocument;
  readonly content: BuildfileContent;
}

/** Names every stage knows, without being declared. */
export const predefinedNames = [
  'TARGETPLATFORM',
  'TARGETOS',
  'TARGETARCH',
  'TARGETVARIANT',
  'BUILDPLATFORM',
  'BUILDOS',
  'BUILDARCH',
  'BUILDVARIANT',
] as const;

/**
 * Parses and validates.
 * @throws BuildfileError with all problems
 */
export function readBuildfile(text: string, file: string): Buildfile {
  const document = parseToml(text, file);
  const scope = { names: knownNames(document), values: undefined };
  const { value, problems } = validateBuildfile(document, scope);
  if (problems.length > 0) throw new BuildfileError(problems, new Map([[file, document.text]]));
  return { document, content: value };
}

/** Compares a document with the format. With a scope that has values, what is returned has no variables any more. */
export function validateBuildfile(document: TomlDocument, scope: VariableScope): Validated<BuildfileContent> {
  const { value, problems } = validate(buildfileSchema, document, scope);
  return { value, problems: [...problems, ...shapeProblems(document)] };
}

/** Declared and predefined names, those whose declaration is wrong included: using them is no second mistake. */
export function knownNames(document: TomlDocument): ReadonlySet<string> {
  return new Set([...keysOf(document.value.args), ...predefinedNames]);
}

/** Stage names in the order of the file, those of wrong stages included. */
export function stageNames(document: TomlDocument): readonly string[] {
  return keysOf(document.value.stages);
}

/** What a schema cannot say: short and long form exclude each other, and one of them is there. */
function shapeProblems(document: TomlDocument): Problem[] {
  const top = Object.keys(document.value);
  const short = top.find((key) => key === 'from' || key === 'steps' || key === 'image');
  if (top.includes('stages')) {
    if (short !== undefined) {
      const message = `\`${short}\` stands outside the stages; a file has either one stage without a name, or [stages]`;
      return [{ code: 'BUILDFILE_BAD_VALUE', message, position: document.keyPosition([short]) }];
    }
    if (stageNames(document).length > 0) return predefinedArgProblems(document);
  }
  if (top.includes('from')) return predefinedArgProblems(document);
  const message = '`from` is missing; write from = "IMAGE", from = "scratch", or stages';
  return [
    { code: 'BUILDFILE_MISSING_KEY', message, position: document.keyPosition([]) },
    ...predefinedArgProblems(document),
  ];
}

function predefinedArgProblems(document: TomlDocument): Problem[] {
  return keysOf(document.value.args)
    .filter((name) => predefinedNames.some((predefined) => predefined === name))
    .map((name) => ({
      code: 'BUILDFILE_BAD_VALUE',
      message: `\`${name}\` is predefined and cannot be declared`,
      position: document.keyPosition(['args', name]),
    }));
}

function keysOf(value: unknown): string[] {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? Object.keys(value) : [];
}
