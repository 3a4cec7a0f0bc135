import * as format from './formats.ts';
import { array, choice, type Infer, map, string, table } from './schema.ts';

const oneOf = choice([string(), array(string(), { notEmpty: true })]);

/** On which values of arguments a step or a stage depends. */
export const when = map(
  choice([
    string(),
    array(string(), { notEmpty: true }),
    table({ not: { ...oneOf, description: 'A value, or values, that it does not have.' } }, { required: ['not'] }),
  ]),
  {
    description:
      'Only when every argument named here has the value, one of the values, or none of { not = … }: { TARGETARCH = ["amd64", "arm64"], DEBUG = { not = "" } }.',
    checkKey: format.checkArgName,
  },
);

export type WhenContent = Infer<typeof when>;
