import { variantNames } from '../bootstrap/variants.ts';
import * as format from './formats.ts';
import { array, boolean, choice, type Infer, integer, map, string, table } from './schema.ts';
import { environment, step } from './step-schema.ts';
import { when } from './when-schema.ts';

const texts = array(string());

const duration = string({ check: format.checkDuration, examples: ['30s', '1m30s'] });

const image = table(
  {
    entrypoint: { ...texts, description: 'Command that always runs; a new one drops an inherited `cmd`.' },
    cmd: { ...texts, description: 'Default command, or default arguments of the entrypoint.' },
    env: { ...environment, description: 'Environment variables of containers.' },
    user: string({ description: 'User that containers run as.', check: format.checkUser }),
    workdir: string({ description: 'Directory that containers start in.', check: format.checkAbsolutePath }),
    ports: array(string({ check: format.checkPort, examples: ['80/tcp'] }), { description: 'Ports that are served.' }),
    volumes: array(string({ check: format.checkAbsolutePath }), { description: 'Directories that hold data.' }),
    labels: map(string(), { description: 'Labels of the image config.', checkKey: format.checkNotEmpty }),
    annotations: map(string(), { description: 'Annotations of the manifest.', checkKey: format.checkNotEmpty }),
    stop_signal: string({
      description: 'Signal that asks containers to end.',
      check: format.checkSignal,
      examples: ['SIGTERM'],
    }),
    healthcheck: table(
      {
        cmd: choice([string({ check: format.checkNotEmpty }), array(string(), { notEmpty: true })], {
          description: 'A script for the shell, or a command as an array. Status 0 means healthy.',
        }),
        interval: { ...duration, description: 'Between two checks: "30s", "1m30s".' },
        timeout: { ...duration, description: 'After which a check has failed.' },
        start_period: { ...duration, description: 'In which failures do not count.' },
        retries: integer({
          description: 'Failures in a row that make a container unhealthy.',
          check: (value) => (value >= 0 && value <= 1000 ? undefined : 'retries is a number from 0 to 1000'),
        }),
      },
      { description: 'How to tell whether a container works.', required: ['cmd'] },
    ),
  },
  { description: 'What the image says about itself. Inherited from the base, overridden key by key.' },
);

const from = choice(
  [
    string({ check: format.checkNotEmpty }),
    table(
      {
        bootstrap: string({ description: 'The distribution.', check: format.checkDistribution }),
        suite: string({ description: 'Its suite, such as bookworm.', check: format.checkSuite }),
        security: boolean({ description: "Whether the suite's security archive takes part; true by default." }),
        variant: string({
          description: 'How much is installed; minbase by default.',
          values: variantNames,
        }),
        include: array(string({ check: format.checkPackage }), { description: 'More packages.' }),
      },
      { required: ['bootstrap', 'suite'] },
    ),
  ],
  {
    description:
      'What to start from: a stage, `scratch`, an image reference, `oci:PATH[:NAME]` (a layout on disk), `bootstrap:debian/SUITE`, or a named context (--build-context).',
  },
);

const steps = array(step, { description: 'What is done, in order.' });

const stage = table({ from, steps, image, when }, { required: ['from'], description: 'One stage.', condition: 'when' });

const arg = choice([
  string({ literal: true }),
  table({
    required: boolean({ description: 'Must be given with --build-arg.' }),
    default: string({ literal: true, description: 'Value without --build-arg.' }),
    allowed: array(string({ literal: true }), { notEmpty: true, description: 'Values it may have.' }),
    description: string({ literal: true, description: 'What it is for.' }),
  }),
]);

/** The Buildfile, version 1. */
export const buildfileSchema = table(
  {
    buildfile: integer({
      description: 'Version of the format: 1.',
      check: (value) => (value === 1 ? undefined : `version ${value} of the format is not known; this Kiln reads 1`),
    }),
    include: array(string({ literal: true, check: format.checkIncludePath }), {
      description: 'Files with more arguments and stages; paths are relative to this file.',
    }),
    default: string({ description: 'Stage that is built without --target; otherwise the last one.' }),
    args: map(arg, {
      description:
        'Arguments with their defaults, { required = true }, or { default, allowed, description }. --build-arg overrides them.',
      checkKey: format.checkArgName,
    }),
    from,
    steps,
    image,
    stages: map(stage, { description: 'Stages by name.', checkKey: format.checkStageName }),
  },
  { description: 'A Kiln Buildfile.' },
);

export type BuildfileContent = Infer<typeof buildfileSchema>;
export type StageContent = Infer<typeof stage>;
export type ImageContent = Infer<typeof image>;
export type FromContent = Infer<typeof from>;
