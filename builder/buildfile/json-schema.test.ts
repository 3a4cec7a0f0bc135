import { readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { buildfileSchema } from './buildfile-schema.ts';
import { buildfileJsonSchema, toJsonSchema } from './json-schema.ts';
import { mount, mountVerbs } from './mount-schema.ts';
import { array, choice, integer, map, string, table } from './schema.ts';
import { stepVerbs } from './step-schema.ts';

describe('toJsonSchema', () => {
  it('says what the schema says', () => {
    const schema = table(
      {
        a: string({ description: 'An a.', values: ['x', 'y'] }),
        b: choice([integer(), array(string(), { notEmpty: true })]),
        c: map(string()),
      },
      { required: ['a'] },
    );

    expect(toJsonSchema(schema, 'T')).toEqual({
      $schema: 'http://json-schema.org/draft-07/schema#',
      title: 'T',
      type: 'object',
      properties: {
        a: { description: 'An a.', type: 'string', enum: ['x', 'y'] },
        b: { anyOf: [{ type: 'integer' }, { type: 'array', items: { type: 'string' }, minItems: 1 }] },
        c: { type: 'object', additionalProperties: { type: 'string' } },
      },
      additionalProperties: false,
      required: ['a'],
    });
  });
});

describe('the published schema', () => {
  it('is the one that is made from the source (npm run schema)', () => {
    const published = readFileSync(path.join(import.meta.dirname, '../../schema/buildfile.schema.json'), 'utf8');

    expect(published).toBe(buildfileJsonSchema());
  });

  it('describes every key of the top, of steps, mounts and [image], for hovers', () => {
    const { steps, image } = buildfileSchema.properties;
    const described = [buildfileSchema, steps.items, mount, image].flatMap(({ properties }) =>
      Object.entries(properties),
    );

    expect(described.filter(([, property]) => !property.description).map(([key]) => key)).toEqual([]);
  });

  it('has one case per verb, of steps and of mounts', () => {
    const { items } = JSON.parse(buildfileJsonSchema()).properties.steps;
    const cases = items.oneOf;
    const mounts = items.properties.mounts.items.oneOf;

    expect(cases.map((one: { required: string[] }) => one.required[0])).toEqual(Object.keys(stepVerbs.options));
    expect(mounts.map((one: { required: string[] }) => one.required[0])).toEqual(Object.keys(mountVerbs.options));
    expect(cases[3].propertyNames.enum).toEqual(['packages', 'manager', 'recommends', 'name', 'layer', 'when']);
  });
});
