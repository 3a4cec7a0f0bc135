import { quoted } from './problems.ts';
import type { Verbs } from './schema.ts';

/** Which one verb a table has. */
export type FoundVerb =
  | { readonly kind: 'none'; readonly message: string }
  /** `second` is the key that is one too many. */
  | { readonly kind: 'several'; readonly message: string; readonly second: string }
  | { readonly kind: 'one'; readonly verb: string; readonly misplaced: readonly Misplaced[] };

export interface Misplaced {
  readonly key: string;
  readonly message: string;
}

/**
 * Finds a table's verb among its keys. `run` with `env` has one verb, as `env` is an option of `run`; `run` with
 * `copy`, or `copy` with `env`, has two.
 */
export function findVerb(verbs: Verbs, keys: readonly string[]): FoundVerb {
  const all = Object.keys(verbs.options);
  const present = keys.filter((key) => all.includes(key));
  const [verb, second] = present.filter(
    (key) => !present.some((other) => other !== key && optionsOf(verbs, other).includes(key)),
  );
  if (verb === undefined) {
    const message = `this ${verbs.noun} does nothing; it needs one of ${all.join(', ')}`;
    return { kind: 'none', message };
  }
  if (second !== undefined) {
    const message = `a ${verbs.noun} does one thing; this one has ${quoted(verb)} and ${quoted(second)}`;
    return { kind: 'several', message, second };
  }
  const others = keys.filter((key) => key !== verb && !optionsOf(verbs, verb).includes(key));
  const misplaced = others.flatMap((key) => {
    const owners = all.filter((other) => optionsOf(verbs, other).includes(key));
    if (owners.length === 0) return [];
    return [{ key, message: `${quoted(key)} belongs to ${owners.map(quoted).join(' and ')}, not to ${quoted(verb)}` }];
  });
  return { kind: 'one', verb, misplaced };
}

function optionsOf(verbs: Verbs, verb: string): readonly string[] {
  return verbs.options[verb] ?? [];
}
