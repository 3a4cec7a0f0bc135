import { listed, type Problem, quoted, suggest } from '../buildfile/problems.ts';
import type { TomlDocument, TomlPath } from '../buildfile/toml.ts';
import type { VariableScope } from '../buildfile/variables.ts';
import type { WhenContent } from '../buildfile/when-schema.ts';

/** What conditions are compared with. */
export interface ConditionScope extends VariableScope {
  readonly values: ReadonlyMap<string, string>;
  /** Values an argument may have; absent or empty where any is possible. */
  readonly allowed: ReadonlyMap<string, readonly string[]>;
}

/** Whether all of a condition holds. A name that is not known, which is reported elsewhere, prevents nothing. */
export function holds(when: WhenContent, scope: ConditionScope): boolean {
  return failedTerm(when, scope) === undefined;
}

/** Why a condition does not hold: `only when …`; undefined when it does. */
export function whyNot(when: WhenContent, scope: ConditionScope): string | undefined {
  const name = failedTerm(when, scope);
  if (name === undefined) return undefined;
  const { values, negated } = termOf(when[name]);
  const wanted = `${negated ? 'not ' : ''}${values.map(quoted).join(negated ? ' and not ' : ' or ')}`;
  return `only when ${name} is ${wanted}, and it is ${quoted(scope.values.get(name) ?? '')}`;
}

/** Names that nothing has, and values that an argument never has. */
export function conditionProblems(
  when: WhenContent,
  at: TomlPath,
  document: TomlDocument,
  scope: ConditionScope,
): readonly Problem[] {
  return Object.entries(when).flatMap(([name, content]) => {
    const position = document.keyPosition([...at, name]);
    if (!scope.names.has(name)) {
      const message = `unknown argument ${quoted(name)}; known here: ${listed(scope.names)}`;
      return [{ code: 'BUILDFILE_UNKNOWN_ARG', message, position, ...suggest(name, scope.names) }];
    }
    const allowed = scope.allowed.get(name) ?? [];
    if (allowed.length === 0) return [];
    return termOf(content).values.flatMap((value) => {
      if (allowed.includes(value)) return [];
      const message = `${name} is never ${quoted(value)}; it may be ${listed(allowed.map(quoted))}`;
      const place = document.valuePosition([...at, name], value);
      return [{ code: 'BUILDFILE_BAD_VALUE', message, position: place, ...suggest(value, allowed) }];
    });
  });
}

/** The first name whose value is not as it should be. */
function failedTerm(when: WhenContent, { names, values, broken }: ConditionScope): string | undefined {
  return Object.keys(when).find((name) => {
    if (!names.has(name) || broken?.has(name)) return false;
    const { values: wanted, negated } = termOf(when[name]);
    return wanted.includes(values.get(name) ?? '') === negated;
  });
}

interface Term {
  readonly values: readonly string[];
  readonly negated: boolean;
}

function termOf(content: WhenContent[string] | undefined): Term {
  if (typeof content === 'string') return { values: [content], negated: false };
  if (isList(content)) return { values: content, negated: false };
  const { not = [] } = content ?? {};
  return { values: typeof not === 'string' ? [not] : not, negated: true };
}

function isList(content: unknown): content is readonly string[] {
  return Array.isArray(content);
}
