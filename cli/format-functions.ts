import { nearest } from '../core/index.ts';
import {
  Absent,
  displayed,
  formatError,
  isFields,
  isList,
  isTrue,
  kindOf,
  present,
  type Value,
} from './format-values.ts';

interface FormatFunction {
  /** How many values it takes, at least and at most. */
  readonly takes: readonly [number, number];
  /** Its values may be missing in the data. */
  readonly mayMiss?: true;
  call(values: readonly Value[]): Value;
}

const any = Number.POSITIVE_INFINITY;
const maxWidth = 200;

const json: FormatFunction = { takes: [1, 1], call: ([value = null]) => JSON.stringify(value) };
const prettyJson: FormatFunction = { takes: [1, 1], call: ([value = null]) => JSON.stringify(value, undefined, 2) };

/** Those of Go's text/template, of docker's --format, and the few of sprig's that oras users type. */
const functions: Readonly<Record<string, FormatFunction>> = {
  json,
  toJson: json,
  prettyjson: prettyJson,
  toPrettyJson: prettyJson,
  len: { takes: [1, 1], call: ([value = null]) => lengthOf(value) },
  index: { takes: [1, any], call: ([value = null, ...keys]) => keys.reduce(entryAt, value) },
  print: { takes: [0, any], call: (values) => values.map(displayed).join('') },
  println: { takes: [0, any], call: (values) => `${values.map(displayed).join(' ')}\n` },
  printf: { takes: [1, any], call: ([format = '', ...values]) => printf(textOf(format), values) },
  upper: { takes: [1, 1], call: ([value = '']) => textOf(value).toUpperCase() },
  lower: { takes: [1, 1], call: ([value = '']) => textOf(value).toLowerCase() },
  title: {
    takes: [1, 1],
    call: ([value = '']) =>
      textOf(value).replace(/(^|\s)(\S)/g, (_all, space: string, first: string) => space + first.toUpperCase()),
  },
  trim: { takes: [1, 1], call: ([value = '']) => textOf(value).trim() },
  join: { takes: [2, 2], call: ([a = null, b = null]) => (isList(a) ? joined(a, b) : joined(b, a)) },
  split: { takes: [2, 2], call: ([text = '', separator = '']) => textOf(text).split(textOf(separator)) },
  truncate: { takes: [2, 2], call: ([text = '', length = 0]) => textOf(text).slice(0, countOf(length)) },
  quote: { takes: [1, 1], call: ([value = null]) => JSON.stringify(displayed(value)) },
  eq: { takes: [2, any], call: ([first = null, ...others]) => others.some((other) => isSame(first, other)) },
  ne: { takes: [2, 2], call: ([a = null, b = null]) => !isSame(a, b) },
  lt: { takes: [2, 2], call: ([a = null, b = null]) => order(a, b) < 0 },
  le: { takes: [2, 2], call: ([a = null, b = null]) => order(a, b) <= 0 },
  gt: { takes: [2, 2], call: ([a = null, b = null]) => order(a, b) > 0 },
  ge: { takes: [2, 2], call: ([a = null, b = null]) => order(a, b) >= 0 },
  and: {
    takes: [1, any],
    mayMiss: true,
    call: (values) => values.find((value) => !isTrue(value)) ?? values.at(-1) ?? null,
  },
  or: { takes: [1, any], mayMiss: true, call: (values) => values.find(isTrue) ?? values.at(-1) ?? null },
  not: { takes: [1, 1], mayMiss: true, call: ([value = null]) => !isTrue(value) },
  default: {
    takes: [2, 2],
    mayMiss: true,
    call: ([fallback = null, value = null]) => (isTrue(value) ? value : fallback),
  },
};

export function isFunction(name: string): boolean {
  return Object.hasOwn(functions, name);
}

/** @throws ToolError USAGE_FORMAT */
export function callFunction(name: string, values: readonly Value[]): Value {
  const called = Object.hasOwn(functions, name) ? functions[name] : undefined;
  if (called === undefined) throw unknownFunction(name);
  const [least, most] = called.takes;
  if (values.length < least || values.length > most) {
    const wanted = least === most ? String(least) : most === any ? `${least} or more` : `${least} to ${most}`;
    throw formatError(`${name} takes ${wanted} values, not ${values.length}`);
  }
  if (!called.mayMiss) for (const value of values) present(value);
  return called.call(values);
}

/** How much text and how many entries a call went through. */
export function workOf(values: readonly Value[], result: Value): number {
  return [...values, result].reduce((sum: number, value) => sum + sizeOf(value), 0);
}

export function unknownFunction(name: string): Error {
  const names = Object.keys(functions);
  const near = nearest(name.slice(0, 100), names);
  const hint = near === undefined ? `there are ${names.join(', ')}; a field begins with a dot: .${name}` : undefined;
  return formatError(`there is no function ${name}`, hint ?? `did you mean ${near}, or the field .${name}?`);
}

/** Go has strings counted by their bytes; what people count is characters. */
function lengthOf(value: Value): number {
  if (typeof value === 'string') return [...value].length;
  if (isList(value)) return value.length;
  if (isFields(value)) return Object.keys(value).length;
  throw formatError(`len is of texts, lists and objects, not of ${kindOf(value)}`);
}

function entryAt(value: Value, key: Value): Value {
  if (isList(value)) {
    const at = countOf(key);
    if (at < value.length) return value[at] ?? null;
    throw formatError(`index ${at} is beyond a list of ${value.length}`);
  }
  // A name that an object of texts does not have is empty, as in Go.
  if (isFields(value)) return Object.hasOwn(value, textOf(key)) ? (value[textOf(key)] ?? null) : '';
  throw formatError(`index is of lists and objects, not of ${kindOf(value)}`);
}

function joined(list: Value, separator: Value): string {
  if (!isList(list)) throw formatError(`join is of a list, not of ${kindOf(list)}`);
  return list.map(displayed).join(textOf(separator));
}

/** `%s %v %d %q %t %x`, with a width, and `%%`. */
function printf(format: string, values: readonly Value[]): string {
  let used = 0;
  const text = format.replace(/%(-?)(\d*)([a-zA-Z%])/g, (_all, left: string, width: string, verb: string) => {
    if (verb === '%') return '%';
    if (!'svdqt'.includes(verb)) throw formatError(`printf has no %${verb}`, 'write %s, %d, %q, %t or %v');
    if (used >= values.length) throw formatError(`printf has more % than values`);
    const value = values[used++] ?? null;
    const shown = verb === 'q' ? JSON.stringify(displayed(value)) : displayed(value);
    const columns = Math.min(Number(width), maxWidth);
    return left === '' ? shown.padStart(columns) : shown.padEnd(columns);
  });
  if (used < values.length) throw formatError('printf has more values than %');
  return text;
}

function textOf(value: Value): string {
  if (typeof value === 'string') return value;
  if (typeof value === 'number' || typeof value === 'boolean') return String(value);
  throw formatError(`a text is needed, not ${kindOf(value)}`);
}

function countOf(value: Value): number {
  if (typeof value === 'number' && Number.isInteger(value) && value >= 0) return value;
  throw formatError(`a whole number is needed, not ${typeof value === 'number' ? value : kindOf(value)}`);
}

function isSame(a: Value, b: Value): boolean {
  const [first, second] = [a, b].map(scalar);
  return first === second;
}

function order(a: Value, b: Value): number {
  if (typeof a === 'number' && typeof b === 'number') return a - b;
  if (typeof a === 'string' && typeof b === 'string') return a < b ? -1 : a > b ? 1 : 0;
  throw formatError(`${kindOf(a)} and ${kindOf(b)} have no order`);
}

function scalar(value: Value): string | number | boolean | null {
  if (value === null || typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean')
    return value;
  throw formatError(`${kindOf(value)} cannot be compared`);
}

function sizeOf(value: Value): number {
  if (typeof value === 'string') return value.length + 1;
  if (value instanceof Absent || value === null) return 1;
  return isList(value) ? value.length + 1 : isFields(value) ? 16 : 1;
}
