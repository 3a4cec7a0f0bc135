import { type BuildfileContent, buildfileSchema } from './buildfile-schema.ts';
import type { BuildfilePart } from './parts.ts';
import { type Problem, placeOf, quoted } from './problems.ts';
import { table } from './schema.ts';
import { type TomlDocument, type TomlPath, tableKeys } from './toml.ts';
import { validate } from './validate.ts';

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

/** A text with the place it was written at. */
export interface WrittenText {
  readonly text: string;
  readonly document: TomlDocument;
  readonly at: TomlPath;
}

/** An argument of a Buildfile. */
export interface DeclaredArg {
  readonly name: string;
  readonly document: TomlDocument;
  /** Whether its declaration is wrong, which the schema reports. */
  readonly isBroken: boolean;
  readonly required: boolean;
  readonly default?: WrittenText;
  /** Any value is, when there are none. */
  readonly allowed: readonly WrittenText[];
}

export interface DeclaredArgs {
  readonly args: ReadonlyMap<string, DeclaredArg>;
  readonly problems: readonly Problem[];
}

const argsSchema = table({ args: buildfileSchema.properties.args });

/**
 * The arguments of all parts, included ones first. What the Buildfile itself says of an included argument replaces it;
 * a text replaces only the default.
 */
export function declaredArgs(parts: readonly BuildfilePart[]): DeclaredArgs {
  const args = new Map<string, DeclaredArg>();
  const problems: Problem[] = [];
  for (const { document, isMain } of parts) {
    const contents = validate(argsSchema, document).value.args ?? {};
    for (const name of tableKeys(document.value.args)) {
      const position = document.keyPosition(['args', name]);
      if (predefinedNames.some((predefined) => predefined === name)) {
        problems.push({
          code: 'BUILDFILE_BAD_VALUE',
          message: `${quoted(name)} is predefined and cannot be declared`,
          position,
        });
        continue;
      }
      const before = args.get(name);
      if (before !== undefined && !isMain) {
        const first = placeOf(before.document.keyPosition(['args', name]));
        const message = `argument ${quoted(name)} is declared twice, first at ${first}`;
        problems.push({ code: 'BUILDFILE_DUPLICATE', message, position });
        continue;
      }
      const content = Object.hasOwn(contents, name) ? contents[name] : undefined;
      const arg = declaredArg(name, content, document);
      args.set(name, before !== undefined && typeof content === 'string' ? { ...arg, allowed: before.allowed } : arg);
      problems.push(...contradictions(arg));
    }
  }
  return { args, problems };
}

type ArgContent = NonNullable<BuildfileContent['args']>[string];

function declaredArg(name: string, content: ArgContent | undefined, document: TomlDocument): DeclaredArg {
  const at = ['args', name];
  const common = { name, document, isBroken: content === undefined, required: false, allowed: [] };
  if (content === undefined) return common;
  if (typeof content === 'string') return { ...common, default: { text: content, document, at } };
  const { required = false, default: text, allowed = [] } = content;
  return {
    ...common,
    required,
    allowed: allowed.map((value, index) => ({ text: value, document, at: [...at, 'allowed', index] })),
    ...(text === undefined ? {} : { default: { text, document, at: [...at, 'default'] } }),
  };
}

function contradictions({ name, document, required, default: text }: DeclaredArg): Problem[] {
  if (!required || text === undefined) return [];
  const message = `argument ${quoted(name)} has a default, so it cannot be required`;
  return [{ code: 'BUILDFILE_BAD_VALUE', message, position: document.keyPosition(['args', name, 'required']) }];
}
