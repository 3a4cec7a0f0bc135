import { unreachable } from '../../core/index.ts';
import { type Problem, quoted, suggest } from './problems.ts';
import type { ArraySchema, ChoiceSchema, Infer, MapSchema, Schema, StringSchema, TableSchema } from './schema.ts';
import type { TomlDocument, TomlPath } from './toml.ts';
import { replaceVariables, type VariableScope } from './variables.ts';
import { findVerb } from './verbs.ts';

export interface Validated<T> {
  /** What is right of the document, variables replaced where the scope has values. Wrong parts are left out. */
  readonly value: T;
  readonly problems: readonly Problem[];
}

export interface ValidateOptions {
  /** What variables mean; without it, strings are taken as they are. */
  readonly scope?: VariableScope;
  /**
   * Whether a table's condition holds. The texts of a table that does not count keep their variables, and are checked
   * only where they have none.
   */
  readonly holds?: (condition: unknown) => boolean;
}

/**
 * Compares a document with a schema and collects every difference. A wrong table in an array or map is kept as an
 * empty one, so that positions of the others stay right.
 */
export function validate<S extends TableSchema>(
  schema: S,
  document: TomlDocument,
  options: ValidateOptions = {},
): Validated<Infer<S>> {
  const validator = new Validator(document, options);
  // The one cast of the reader: a Validator returns only what matches the schema.
  const value = validator.check(schema, document.value, []) as Infer<S>;
  return { value, problems: validator.problems };
}

/** All replaced texts of a document together; keeps a small file from becoming a huge plan. */
const maxReplacedTotal = 16 * 1024 * 1024;

type Suggestion = Pick<Problem, 'suggestion'>;

class Validator {
  readonly problems: Problem[] = [];
  readonly #document: TomlDocument;
  readonly #holds: ValidateOptions['holds'];
  #scope: VariableScope | undefined;
  #replacedTotal = 0;

  constructor(document: TomlDocument, { scope, holds }: ValidateOptions) {
    this.#document = document;
    this.#scope = scope;
    this.#holds = holds;
  }

  /** The value as far as it is right; undefined when nothing of it is. */
  check(schema: Schema, value: unknown, path: TomlPath): unknown {
    if (schema.kind === 'choice') return this.#checkChoice(schema, value, path);
    if (!accepts(schema, value)) return this.#wrongType([schema], value, path);
    switch (schema.kind) {
      case 'string':
        return this.#checkString(schema, String(value), path);
      case 'integer':
        return this.#complain(schema.check?.(Number(value), this.#document.sourceOf(path)), path) ? undefined : value;
      case 'boolean':
        return value;
      case 'array':
        return this.#checkArray(schema, value as unknown[], path);
      case 'map':
        return this.#checkMap(schema, value as Record<string, unknown>, path);
      case 'table':
        return this.#checkTable(schema, value as Record<string, unknown>, path);
      default:
        throw unreachable(schema);
    }
  }

  #checkChoice(schema: ChoiceSchema, value: unknown, path: TomlPath): unknown {
    const option = schema.options.find((candidate) => accepts(candidate, value));
    return option === undefined ? this.#wrongType(schema.options, value, path) : this.check(option, value, path);
  }

  #checkString(schema: StringSchema, value: string, path: TomlPath): string | undefined {
    const text = schema.literal || this.#scope === undefined ? value : this.#replace(value, this.#scope, path);
    if (text === undefined) return undefined;
    if (!schema.literal && text.includes('$') && this.#scope !== undefined && this.#scope.values === undefined)
      return value;
    if (text.includes('\0')) return this.#report('BAD_VALUE', 'a text cannot contain the character U+0000', path);
    if (schema.values !== undefined && !schema.values.includes(text)) {
      const message = `${quoted(text)} is not one of ${schema.values.map(quoted).join(', ')}`;
      return this.#report('BAD_VALUE', message, path, suggest(text, schema.values));
    }
    return this.#complain(schema.check?.(text), path) ? undefined : text;
  }

  #replace(value: string, scope: VariableScope, path: TomlPath): string | undefined {
    const { text, problems } = replaceVariables(value, scope);
    for (const { code, message, part, ...suggestion } of problems) {
      this.#push(code, message, this.#document.valuePosition(path, part), suggestion);
    }
    if (text === undefined && problems.length === 0 && scope.values === undefined) return value;
    if (text === undefined || text === value) return text;
    this.#replacedTotal += text.length;
    if (this.#replacedTotal <= maxReplacedTotal) return text;
    return this.#report('BAD_VALUE', 'the texts of this file grow too long when their variables are replaced', path);
  }

  #checkArray(schema: ArraySchema, value: readonly unknown[], path: TomlPath): unknown[] | undefined {
    if (schema.notEmpty && value.length === 0) return this.#report('BAD_VALUE', 'this array needs an element', path);
    const items = value.map((item, index) => this.check(schema.items, item, [...path, index]));
    if (schema.items.kind === 'table') return items.map((item) => item ?? {});
    return items.includes(undefined) ? undefined : items;
  }

  #checkMap(schema: MapSchema, value: Readonly<Record<string, unknown>>, path: TomlPath): unknown {
    const entries: [string, unknown][] = [];
    for (const [key, item] of Object.entries(value)) {
      const complaint = schema.checkKey?.(key);
      if (complaint !== undefined) this.#push('BAD_VALUE', complaint, this.#document.keyPosition([...path, key]));
      const checked =
        this.check(schema.values, item, [...path, key]) ?? (schema.values.kind === 'table' ? {} : undefined);
      if (checked !== undefined) entries.push([key, checked]);
    }
    return Object.fromEntries(entries);
  }

  #checkTable(schema: TableSchema, value: Readonly<Record<string, unknown>>, path: TomlPath): unknown {
    const keys = Object.keys(value);
    const unusable = schema.verbs === undefined ? [] : this.#checkVerb(schema, keys, path);
    const entries: [string, unknown][] = [];
    const scope = this.#scope;
    const condition = this.#checkCondition(schema, value, path);
    if (condition !== undefined) entries.push(condition);
    for (const key of keys) {
      if (key === schema.condition) continue;
      const property = Object.hasOwn(schema.properties, key) ? schema.properties[key] : undefined;
      if (property === undefined) this.#refuseKey(schema, key, path);
      else {
        const checked = this.check(property, value[key], [...path, key]);
        if (checked !== undefined && !unusable.includes(key)) entries.push([key, checked]);
      }
    }
    this.#scope = scope;
    for (const key of schema.required ?? []) {
      if (!Object.hasOwn(value, key)) {
        this.#push('MISSING_KEY', `${quoted(key)} is missing`, this.#document.keyPosition(path));
      }
    }
    return Object.fromEntries(entries);
  }

  /** The condition's entry. When it does not hold, variables have no values until the scope is set again. */
  #checkCondition(
    { condition: key, properties }: TableSchema,
    value: Readonly<Record<string, unknown>>,
    path: TomlPath,
  ): [string, unknown] | undefined {
    const property = key === undefined || !Object.hasOwn(value, key) ? undefined : properties[key];
    if (key === undefined || property === undefined) return undefined;
    const checked = this.check(property, value[key], [...path, key]);
    if (checked === undefined) return undefined;
    const counts = this.#scope?.values === undefined || this.#holds === undefined || this.#holds(checked);
    if (!counts && this.#scope !== undefined) this.#scope = { ...this.#scope, values: undefined };
    return [key, checked];
  }

  /** Returns the keys that are of no use: all without one clear verb, else those that do not belong beside it. */
  #checkVerb(schema: TableSchema, keys: readonly string[], path: TomlPath): readonly string[] {
    const { verbs } = schema;
    if (verbs === undefined) return [];
    const found = findVerb(verbs, keys);
    switch (found.kind) {
      case 'none':
        // A mistyped verb is reported as the unknown key that it is.
        if (keys.every((key) => Object.hasOwn(schema.properties, key))) {
          this.#push('STEP_VERBS', found.message, this.#document.keyPosition(path));
        }
        return keys;
      case 'several':
        this.#push('STEP_VERBS', found.message, this.#document.keyPosition([...path, found.second]));
        return keys;
      case 'one':
        for (const { key, message } of found.misplaced) {
          this.#push('UNKNOWN_KEY', message, this.#document.keyPosition([...path, key]));
        }
        return found.misplaced.map(({ key }) => key);
      default:
        throw unreachable(found);
    }
  }

  #refuseKey(schema: TableSchema, key: string, path: TomlPath): void {
    const position = this.#document.keyPosition([...path, key]);
    const known = Object.keys(schema.properties);
    const suggestion = suggest(key, known);
    const hint = suggestion.suggestion === undefined ? `; known here: ${known.join(', ')}` : '';
    this.#push('UNKNOWN_KEY', `unknown key ${quoted(key)}${hint}`, position, suggestion);
  }

  #wrongType(schemas: readonly Schema[], value: unknown, path: TomlPath): undefined {
    const expected = schemas.map(expectedName).join(' or ');
    return this.#report('WRONG_TYPE', `${subject(path)} is ${typeName(value)}; expected ${expected}`, path);
  }

  #complain(complaint: string | undefined, path: TomlPath): boolean {
    if (complaint !== undefined) this.#report('BAD_VALUE', complaint, path);
    return complaint !== undefined;
  }

  #report(code: string, message: string, path: TomlPath, suggestion: Suggestion = {}): undefined {
    this.#push(code, message, this.#document.valuePosition(path), suggestion);
  }

  #push(code: string, message: string, position: Problem['position'], suggestion: Suggestion = {}): void {
    this.problems.push({ code: `${this.#document.area}_${code}`, message, position, ...suggestion });
  }
}

function accepts(schema: Schema, value: unknown): boolean {
  switch (schema.kind) {
    case 'string':
    case 'boolean':
      return typeof value === schema.kind;
    case 'integer':
      return Number.isSafeInteger(value);
    case 'array':
      return Array.isArray(value);
    case 'map':
    case 'table':
      return typeof value === 'object' && value !== null && !Array.isArray(value) && !(value instanceof Date);
    case 'choice':
      return schema.options.some((option) => accepts(option, value));
    default:
      throw unreachable(schema);
  }
}

function subject(path: TomlPath): string {
  const last = path.at(-1);
  return typeof last === 'string' ? quoted(last) : 'this element';
}

function expectedName(schema: Schema): string {
  switch (schema.kind) {
    case 'string':
      return schema.values === undefined ? 'a string' : schema.values.map((value) => `"${value}"`).join(' or ');
    case 'integer':
      return 'an integer';
    case 'boolean':
      return 'true or false';
    case 'array':
      return `an array of ${schema.items.kind === 'table' ? 'tables' : 'strings'}`;
    case 'map':
    case 'table':
      return 'a table';
    case 'choice':
      return schema.options.map(expectedName).join(' or ');
    default:
      throw unreachable(schema);
  }
}

function typeName(value: unknown): string {
  if (Array.isArray(value)) return 'an array';
  if (value instanceof Date) return 'a date';
  switch (typeof value) {
    case 'string':
      return 'a string';
    case 'boolean':
      return 'a boolean';
    case 'number':
      return Number.isInteger(value) ? 'an integer' : 'a float';
    case 'bigint':
      return 'an integer that is too big';
    default:
      return 'a table';
  }
}
