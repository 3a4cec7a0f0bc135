import type { Preimage, PreimageValue } from '../workshop/step-cache.ts';

/** One input that differs between two keys of a step; `before` or `after` is absent when only the other has it. */
export interface InputChange {
  /** As the preimage calls it: `argv`, `env`, `files`, `parent`. */
  readonly input: string;
  /** What of the input, where it has parts: the name of a variable, a package, a file. */
  readonly part?: string;
  readonly before?: string;
  readonly after?: string;
}

/** Compares two preimages input by input; lists are compared by the names of their elements. */
export function comparePreimages(before: Preimage, after: Preimage): InputChange[] {
  const [old, now] = [new Map(before), new Map(after)];
  const changes: InputChange[] = [];
  for (const input of new Set([...old.keys(), ...now.keys()])) {
    changes.push(...compareValues(input, old.get(input), now.get(input)));
  }
  return changes;
}

function compareValues(
  input: string,
  before: PreimageValue | undefined,
  after: PreimageValue | undefined,
): InputChange[] {
  if (JSON.stringify(before) === JSON.stringify(after)) return [];
  // An argument list has no names: it is shown whole.
  if (input === 'argv') return [change(input, textOf(before), textOf(after))];
  if (Array.isArray(before ?? []) && Array.isArray(after ?? [])) {
    return compareLists(input, asList(before), asList(after));
  }
  return [change(input, textOf(before), textOf(after))];
}

function compareLists(input: string, before: readonly string[], after: readonly string[]): InputChange[] {
  const [old, now] = [byName(before), byName(after)];
  const changes: InputChange[] = [];
  for (const part of new Set([...old.keys(), ...now.keys()])) {
    const [was, is] = [old.get(part), now.get(part)];
    if (was !== is) changes.push({ ...change(input, was, is), part });
  }
  if (changes.length > 0) return changes;
  const first = before.findIndex((element, index) => element !== after[index]);
  return [{ ...change(input, before[first], after[first]), part: 'order' }];
}

/** `NAME=VALUE` and `name=version` by name; anything else is its own name. */
function byName(list: readonly string[]): Map<string, string> {
  return new Map(
    list.map((element) => {
      const equals = element.indexOf('=');
      return equals === -1 ? [element, ''] : [element.slice(0, equals), element.slice(equals + 1)];
    }),
  );
}

function change(input: string, before: string | undefined, after: string | undefined): InputChange {
  return { input, ...(before === undefined ? {} : { before }), ...(after === undefined ? {} : { after }) };
}

function asList(value: PreimageValue | undefined): readonly string[] {
  return Array.isArray(value) ? value : [];
}

function textOf(value: PreimageValue | undefined): string | undefined {
  if (value === undefined) return undefined;
  return typeof value === 'string' ? value : JSON.stringify(value);
}
