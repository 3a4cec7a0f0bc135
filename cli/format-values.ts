import { nearest, ToolError } from '../core/index.ts';

/** A field that the data does not have: no mistake in a condition, and one wherever its value is needed. */
export class Absent {
  readonly explain: () => ToolError;

  constructor(explain: () => ToolError) {
    this.explain = explain;
  }
}

/** JSON, or what is missing in it. */
export type Value = string | number | boolean | null | readonly Value[] | { readonly [key: string]: Value } | Absent;

type Fields = { readonly [key: string]: Value };

const shownNames = 20;

export function formatError(why: string, hint?: string): ToolError {
  return new ToolError('USAGE_FORMAT', `--format: ${why}`, { hint });
}

export function isList(value: Value): value is readonly Value[] {
  return Array.isArray(value);
}

export function isFields(value: Value): value is Fields {
  return typeof value === 'object' && value !== null && !isList(value) && !(value instanceof Absent);
}

/** @throws ToolError USAGE_FORMAT where the data has no such thing */
export function present(value: Value): Exclude<Value, Absent> {
  if (value instanceof Absent) throw value.explain();
  return value;
}

/** Follows `.a.b`; the first letter of a name may be of either case: Go's fields begin with a capital. */
export function lookup(value: Value, path: readonly string[]): Value {
  let current = value;
  for (const [at, name] of path.entries()) {
    if (current instanceof Absent) return current;
    const before: Value = current;
    const found = isFields(before) ? fieldOf(before, name) : undefined;
    if (found === undefined) return new Absent(() => noSuchField(before, path.slice(0, at), name));
    current = found;
  }
  return current;
}

function fieldOf(fields: Fields, name: string): Value | undefined {
  if (Object.hasOwn(fields, name)) return fields[name];
  const [first = ''] = name;
  const lower = first.toLowerCase();
  const other = (first === lower ? first.toUpperCase() : lower) + name.slice(first.length);
  return Object.hasOwn(fields, other) ? fields[other] : undefined;
}

function noSuchField(value: Value, path: readonly string[], name: string): ToolError {
  const where = path.length === 0 ? 'the result' : `.${path.join('.')}`;
  if (!isFields(value)) {
    const hint = isList(value) ? `write {{range ${where === 'the result' ? '.' : where}}}…{{end}}` : undefined;
    return formatError(`${where} is ${kindOf(value)} and has no .${name}`, hint);
  }
  const names = Object.keys(value);
  const shown = names.slice(0, shownNames).join(', ') + (names.length > shownNames ? ', …' : '');
  const near = nearest(name.slice(0, 100), names.slice(0, 1000));
  return formatError(
    `${where} has no .${name}; it has ${shown === '' ? 'nothing' : shown}`,
    near === undefined ? '{{json .}} shows all of it' : `did you mean .${near}?`,
  );
}

export function kindOf(value: Value): string {
  if (value === null || value instanceof Absent) return 'nothing';
  if (isList(value)) return 'a list';
  return typeof value === 'object' ? 'an object' : `a ${typeof value}`;
}

/** Go's truth: not false, zero, nil or empty. */
export function isTrue(value: Value): boolean {
  if (value instanceof Absent || value === null) return false;
  if (isList(value)) return value.length > 0;
  if (isFields(value)) return hasKeys(value);
  return Boolean(value);
}

function hasKeys(fields: Fields): boolean {
  for (const _key in fields) return true;
  return false;
}

/** What `range` walks: a list with its indexes, or an object by its sorted names. */
export function entriesOf(value: Value): readonly (readonly [Value, Value])[] {
  if (value instanceof Absent || value === null) return [];
  if (isList(value)) return value.map((entry, at) => [at, entry]);
  if (isFields(value)) return sortedEntries(value);
  throw formatError(`range goes over lists and objects, not over ${kindOf(value)}`);
}

/** As Go's fmt prints it: `[a b]`, `map[k:v]`. */
export function displayed(value: Value): string {
  const shown = present(value);
  if (shown === null) return '<no value>';
  if (isList(shown)) return `[${shown.map(displayed).join(' ')}]`;
  if (isFields(shown))
    return `map[${sortedEntries(shown)
      .map(([key, entry]) => `${key}:${displayed(entry)}`)
      .join(' ')}]`;
  return String(shown);
}

function sortedEntries(fields: Fields): readonly (readonly [string, Value])[] {
  return Object.entries(fields).sort(([a], [b]) => (a < b ? -1 : 1));
}
