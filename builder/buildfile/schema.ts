/**
 * What a TOML file may say, as data: the one source of validation (`validate.ts`), of the published JSON Schema
 * (`json-schema.ts`) and of the type of what was read (`Infer`).
 */
export type Schema = StringSchema | NumberSchema | BooleanSchema | ArraySchema | MapSchema | TableSchema | ChoiceSchema;

interface Described {
  /** What an editor shows beside the key. */
  readonly description?: string;
}

/** Undefined when the value is fine; otherwise the sentence that says what is wrong. */
export type Complaint = string | undefined;

export interface StringSchema extends Described {
  readonly kind: 'string';
  /** Variables are not replaced in it. */
  readonly literal?: boolean;
  readonly values?: readonly string[];
  /** Checks the value once its variables are replaced. */
  readonly check?: (text: string) => Complaint;
  readonly examples?: readonly string[];
}

export interface NumberSchema extends Described {
  readonly kind: 'integer';
  /** `source` is the number as it was written: `0o755`. */
  readonly check?: (value: number, source: string) => Complaint;
  readonly examples?: readonly number[];
}

export interface BooleanSchema extends Described {
  readonly kind: 'boolean';
}

export interface ArraySchema<Items extends Schema = Schema> extends Described {
  readonly kind: 'array';
  readonly items: Items;
  readonly notEmpty?: boolean;
}

/** A table whose keys are the user's own names. */
export interface MapSchema<Values extends Schema = Schema> extends Described {
  readonly kind: 'map';
  readonly values: Values;
  readonly checkKey?: (key: string) => Complaint;
}

export type Properties = Readonly<Record<string, Schema>>;

/** A table with known keys. */
export interface TableSchema<P extends Properties = Properties> extends Described {
  readonly kind: 'table';
  readonly properties: P;
  readonly required?: readonly string[];
  /** Key whose value says whether the table counts. */
  readonly condition?: string;
  readonly verbs?: Verbs;
}

/** The table does one thing: which one, its verb says. */
export interface Verbs {
  /** What the table is called in messages: `step`. */
  readonly noun: string;
  /** Each verb with the keys that may stand beside it. A verb may itself be an option of another one. */
  readonly options: Readonly<Record<string, readonly string[]>>;
}

/** One of several; which one, the TOML type of the value says. */
export interface ChoiceSchema<Options extends readonly Schema[] = readonly Schema[]> extends Described {
  readonly kind: 'choice';
  readonly options: Options;
}

/** The type of a value that passed. Keys are optional even where required: what is wrong is left out. */
export type Infer<S extends Schema> = S extends StringSchema
  ? string
  : S extends NumberSchema
    ? number
    : S extends BooleanSchema
      ? boolean
      : S extends ArraySchema<infer Items>
        ? readonly Infer<Items>[]
        : S extends MapSchema<infer Values>
          ? Readonly<Record<string, Infer<Values>>>
          : S extends TableSchema<infer P>
            ? { readonly [K in keyof P]?: Infer<P[K]> }
            : S extends ChoiceSchema<infer Options>
              ? Infer<Options[number]>
              : never;

export function string(options: Omit<StringSchema, 'kind'> = {}): StringSchema {
  return { kind: 'string', ...options };
}

export function integer(options: Omit<NumberSchema, 'kind'> = {}): NumberSchema {
  return { kind: 'integer', ...options };
}

export function boolean(options: Omit<BooleanSchema, 'kind'> = {}): BooleanSchema {
  return { kind: 'boolean', ...options };
}

export function array<Items extends Schema>(
  items: Items,
  options: Omit<ArraySchema, 'kind' | 'items'> = {},
): ArraySchema<Items> {
  return { kind: 'array', items, ...options };
}

export function map<Values extends Schema>(
  values: Values,
  options: Omit<MapSchema, 'kind' | 'values'> = {},
): MapSchema<Values> {
  return { kind: 'map', values, ...options };
}

export function table<P extends Properties>(
  properties: P,
  options: Omit<TableSchema<P>, 'kind' | 'properties'> = {},
): TableSchema<P> {
  return { kind: 'table', properties, ...options };
}

export function choice<const Options extends readonly Schema[]>(
  options: Options,
  described: Described = {},
): ChoiceSchema<Options> {
  return { kind: 'choice', options, ...described };
}
