/** `type:name:action,action` by `type:name`. https://distribution.github.io/distribution/spec/auth/scope/ */
type Scopes = Map<string, Set<string>>;

const scopePattern = /^([a-z0-9]+(?:\([a-z0-9]+\))?:[^\s"\\]{1,512}):([a-z*]+(?:,[a-z*]+)*)$/;
/** A registry may want more than was asked for, not endlessly more. */
const maxScopes = 8;

/**
 * What is asked for, and what the registry says it takes (`scope` of its challenge): it may know the repository by
 * another name, or want another action than the specification has.
 * @returns `asked` itself when the challenge wants no more
 */
export function withWanted(asked: readonly string[], wanted: string): readonly string[] {
  const known = parse(asked);
  const missing = wanted
    .split(/\s+/)
    .filter((scope) => scopePattern.test(scope))
    .filter((scope) => !covers(known, scope));
  if (missing.length === 0) return asked;
  const merged = parse([...asked, ...missing.slice(0, maxScopes)]);
  return [...merged].map(([name, actions]) => `${name}:${[...actions].join(',')}`);
}

function parse(scopes: readonly string[]): Scopes {
  const parsed: Scopes = new Map();
  for (const scope of scopes) {
    const [, name = scope, actions = ''] = scopePattern.exec(scope) ?? [];
    const known = parsed.get(name) ?? new Set();
    for (const action of actions.split(',')) known.add(action);
    parsed.set(name, known);
  }
  return parsed;
}

function covers(known: Scopes, scope: string): boolean {
  const [, name = '', actions = ''] = scopePattern.exec(scope) ?? [];
  const has = known.get(name);
  return has !== undefined && actions.split(',').every((action) => has.has(action) || has.has('*'));
}
