import { variantNames } from '../bootstrap/variants.ts';
import * as format from './formats.ts';
import { array, boolean, choice, type Infer, integer, map, string, table, type Verbs } from './schema.ts';

const env = map(string(), {
  description: 'Environment variables.',
  checkKey: format.checkEnvName,
});

const shell = array(string(), {
  description: 'What a script is handed to as last argument, such as ["/bin/bash", "-euo", "pipefail", "-c"].',
  notEmpty: true,
});

const texts = array(string());

const run = choice([string({ literal: true, check: format.checkNotEmpty }), array(string(), { notEmpty: true })], {
  description:
    'A script, run by `/bin/sh -e` (it stops at its first failing line), or a command as an array of arguments, executed as it is.',
});

const copyPath = string({ check: format.checkCopyPath });

/** What steps do, and which keys may stand beside it. */
export const stepVerbs: Verbs = {
  noun: 'step',
  options: {
    run: ['env', 'user', 'workdir', 'shell', 'network'],
    copy: ['to', 'from', 'exclude', 'owner', 'mode', 'preserve'],
    workdir: [],
    user: [],
    env: [],
    shell: [],
  },
  notYet: ['fetch', 'packages', 'test'],
};

const step = table(
  {
    run,
    copy: choice([copyPath, array(copyPath, { notEmpty: true })], {
      description:
        'Path or paths from the context, or from what `from` names. Wildcards: * ? [a-z], and ** for any directories.',
    }),
    workdir: string({
      description: 'Directory for the steps after it, and of the image; created. As an option of `run`: for this step.',
      check: format.checkNotEmpty,
    }),
    user: string({
      description: 'User for the steps after it, and of the image. As an option of `run`: for this step.',
      check: format.checkUser,
      examples: ['1000:1000', 'www-data'],
    }),
    env,
    shell,
    network: string({
      description: 'Network of this step: `none`, or `host` for that of the machine.',
      values: ['none', 'host'],
    }),
    to: string({
      description: 'Where to copy to, `.` (the working directory) by default. A directory when it ends with /.',
      check: format.checkNotEmpty,
    }),
    from: string({ description: 'A stage or an image to copy from, in place of the context.' }),
    exclude: array(string({ check: format.checkPattern }), { description: 'Patterns of what is not copied.' }),
    owner: string({ description: 'Owner of what is copied: `user[:group]`, 0:0 by default.', check: format.checkUser }),
    mode: choice([string({ check: format.checkMode }), integer({ check: format.checkModeNumber })], {
      description: 'Permissions of what is copied: "0755" or 0o755.',
    }),
    preserve: array(string({ values: ['mode'] }), {
      description: '["mode"] keeps the permissions that files have in the context.',
    }),
    name: string({ description: 'What progress shows for this step.', check: format.checkNotEmpty }),
  },
  {
    description: 'One step: exactly one of run, copy, workdir, user, env, shell.',
    verbs: stepVerbs,
    notYet: [
      ...stepVerbs.notYet,
      ...['mounts', 'layer', 'when', 'include', 'parents', 'optional', 'checksum', 'unpack', 'manager', 'recommends'],
    ],
  },
);

const duration = string({ check: format.checkDuration, examples: ['30s', '1m30s'] });

const image = table(
  {
    entrypoint: { ...texts, description: 'Command that always runs; a new one drops an inherited `cmd`.' },
    cmd: { ...texts, description: 'Default command, or default arguments of the entrypoint.' },
    env: { ...env, description: 'Environment variables of containers.' },
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
      'What to start from: a stage, `scratch`, an image reference, `oci:PATH[:NAME]` (a layout on disk), or `bootstrap:debian/SUITE`.',
  },
);

const steps = array(step, { description: 'What is done, in order.' });

const stage = table(
  { from, steps, image },
  { required: ['from'], description: 'One stage.', notYet: ['when', 'include'] },
);

const arg = choice([
  string({ literal: true }),
  table(
    { required: boolean({ description: 'Must be given with --build-arg.' }) },
    { notYet: ['allowed', 'default', 'description'] },
  ),
]);

/** The Buildfile, version 1, as far as it is implemented. */
export const buildfileSchema = table(
  {
    buildfile: integer({
      description: 'Version of the format: 1.',
      check: (value) => (value === 1 ? undefined : `version ${value} of the format is not known; this Kiln reads 1`),
    }),
    default: string({ description: 'Stage that is built without --target; otherwise the last one.', literal: true }),
    args: map(arg, {
      description: 'Arguments with their defaults, or { required = true }. --build-arg overrides them.',
      checkKey: format.checkArgName,
    }),
    from,
    steps,
    image,
    stages: map(stage, { description: 'Stages by name.', checkKey: format.checkStageName }),
  },
  { description: 'A Kiln Buildfile.', notYet: ['include', 'when'] },
);

export type BuildfileContent = Infer<typeof buildfileSchema>;
export type StageContent = Infer<typeof stage>;
export type StepContent = Infer<typeof step>;
export type ImageContent = Infer<typeof image>;
export type FromContent = Infer<typeof from>;
