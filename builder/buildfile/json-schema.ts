import { unreachable } from '../../core/index.ts';
import { buildfileSchema } from './buildfile-schema.ts';
import type { Schema, TableSchema, Verbs } from './schema.ts';

export type JsonSchema = { readonly [key: string]: unknown };

/** The schema as JSON Schema draft-07, which is what editors' TOML support reads. */
export function toJsonSchema(schema: Schema, title: string): JsonSchema {
  return { $schema: 'http://json-schema.org/draft-07/schema#', title, ...convert(schema) };
}

/** The text of `schema/buildfile.schema.json`. */
export function buildfileJsonSchema(): string {
  return `${JSON.stringify(toJsonSchema(buildfileSchema, 'Buildfile'), undefined, 2)}\n`;
}

function convert(schema: Schema): JsonSchema {
  return { ...(schema.description === undefined ? {} : { description: schema.description }), ...body(schema) };
}

function body(schema: Schema): JsonSchema {
  switch (schema.kind) {
    case 'string':
      return { type: 'string', ...given('enum', schema.values), ...given('examples', schema.examples) };
    case 'integer':
      return { type: 'integer', ...given('examples', schema.examples) };
    case 'boolean':
      return { type: 'boolean' };
    case 'array':
      return { type: 'array', items: convert(schema.items), ...(schema.notEmpty ? { minItems: 1 } : {}) };
    case 'map':
      return { type: 'object', additionalProperties: convert(schema.values) };
    case 'table':
      return tableBody(schema);
    case 'choice':
      return { anyOf: schema.options.map(convert) };
    default:
      throw unreachable(schema);
  }
}

function tableBody(schema: TableSchema): JsonSchema {
  const properties = Object.entries(schema.properties).map(([key, property]) => [key, convert(property)]);
  return {
    type: 'object',
    properties: Object.fromEntries(properties),
    additionalProperties: false,
    ...given('required', schema.required),
    ...(schema.verbs === undefined ? {} : { oneOf: verbCases(schema, schema.verbs) }),
  };
}

/** One case per verb: the verb is there, and nothing that does not belong to it. */
function verbCases(schema: TableSchema, verbs: Verbs): JsonSchema[] {
  const known = Object.keys(schema.properties);
  const owned = new Set([...Object.keys(verbs.options), ...Object.values(verbs.options).flat()]);
  const common = known.filter((key) => !owned.has(key));
  return Object.entries(verbs.options)
    .filter(([verb]) => known.includes(verb))
    .map(([verb, options]) => ({
      required: [verb],
      propertyNames: { enum: [verb, ...options.filter((key) => known.includes(key)), ...common] },
    }));
}

function given(key: string, value: unknown): JsonSchema {
  return value === undefined ? {} : { [key]: value };
}
