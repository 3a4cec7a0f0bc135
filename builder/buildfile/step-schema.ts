import { checkChecksum, checkFetchUrl } from './fetch-url.ts';
import * as format from './formats.ts';
import { mount } from './mount-schema.ts';
import { array, boolean, choice, type Infer, integer, map, string, table, type Verbs } from './schema.ts';
import { when } from './when-schema.ts';

export const environment = map(string(), {
  description: 'Environment variables.',
  checkKey: format.checkEnvName,
});

const command = choice([string({ literal: true, check: format.checkNotEmpty }), array(string(), { notEmpty: true })]);

const copyPath = string({ check: format.checkCopyPath });

const commandOptions = ['mounts', 'env', 'user', 'workdir', 'shell', 'network'];

/** What steps do, and which keys may stand beside it. */
export const stepVerbs: Verbs = {
  noun: 'step',
  options: {
    run: commandOptions,
    copy: ['to', 'from', 'exclude', 'owner', 'mode', 'parents', 'optional', 'preserve'],
    fetch: ['to', 'checksum', 'unpack', 'owner', 'mode'],
    packages: ['manager', 'recommends'],
    test: commandOptions,
    workdir: [],
    user: [],
    env: [],
    shell: [],
  },
};

export const step = table(
  {
    run: {
      ...command,
      description:
        'A script, run by `/bin/sh -e` (it stops at its first failing line), or a command as an array of arguments, executed as it is.',
    },
    copy: choice([copyPath, array(copyPath, { notEmpty: true })], {
      description:
        'Path or paths from the context, or from what `from` names. Wildcards: * ? [a-z], and ** for any directories.',
    }),
    fetch: string({
      description: 'URL of a file (https://…), or of a git repository: https://…/NAME.git#REF:FOLDER, git@HOST:PATH.',
      check: checkFetchUrl,
      examples: ['https://example.org/tool-1.0.tar.gz', 'https://example.org/tool.git#v1.0'],
    }),
    packages: array(string({ check: format.checkPackageName }), {
      description: "Packages of the base's distribution, NAME or NAME=VERSION, with what they need.",
      notEmpty: true,
    }),
    test: {
      ...command,
      description: 'A script or command that checks the result so far; its failure fails the build. Leaves no layer.',
    },
    workdir: string({
      description:
        'Directory for the steps after it, and of the image; created. As an option of `run` and `test`: for this step.',
      check: format.checkNotEmpty,
    }),
    user: string({
      description: 'User for the steps after it, and of the image. As an option of `run` and `test`: for this step.',
      check: format.checkUser,
      examples: ['1000:1000', 'www-data'],
    }),
    env: environment,
    shell: array(string(), {
      description: 'What a script is handed to as last argument, such as ["/bin/bash", "-euo", "pipefail", "-c"].',
      notEmpty: true,
    }),
    mounts: array(mount, { description: 'What the step sees besides its root file system; leaves no trace.' }),
    network: string({
      description:
        'Network of this step: its own with a way out (`default`), `none`, or `host` for that of the machine.',
      values: ['default', 'none', 'host'],
    }),
    to: string({
      description: 'Where to put it, `.` (the working directory) by default. A directory when it ends with /.',
      check: format.checkNotEmpty,
    }),
    from: string({
      description: 'A stage, an image, `oci:PATH[:NAME]` or a named context to copy from, in place of the context.',
      check: format.checkNotEmpty,
    }),
    exclude: array(string({ check: format.checkPattern }), { description: 'Patterns of what is not copied.' }),
    owner: string({
      description: 'Owner of what is copied or fetched: `user[:group]`, 0:0 by default.',
      check: format.checkUser,
    }),
    mode: choice([string({ check: format.checkMode }), integer({ check: format.checkModeNumber })], {
      description: 'Permissions of what is copied or fetched: "0755" or 0o755.',
    }),
    parents: boolean({
      description: 'Whether the copied paths keep their folders below `to`; those before /./ in a path are left away.',
    }),
    optional: boolean({ description: 'Whether it is no mistake when nothing matches.' }),
    preserve: array(string({ values: ['mode', 'owner', 'time', 'xattrs'] }), {
      description: 'What is kept as the source has it: mode, owner, time, xattrs.',
    }),
    checksum: string({
      description: '`sha256:…` of the file that is fetched; of a git repository, its commit in hexadecimal.',
      check: checkChecksum,
    }),
    unpack: boolean({ description: 'Whether the file is an archive whose content goes to `to`.' }),
    manager: string({
      description: "Package manager; what the base's os-release says unless given.",
      values: ['apt', 'apk', 'dnf'],
    }),
    recommends: boolean({ description: 'Whether recommended packages come too; false by default.' }),
    name: string({ description: 'What progress shows for this step.', check: format.checkNotEmpty }),
    layer: string({
      description: 'Neighbouring steps with the same name here share one layer.',
      check: format.checkNotEmpty,
    }),
    when,
  },
  {
    description: 'One step: exactly one of run, copy, fetch, packages, test, workdir, user, env, shell.',
    verbs: stepVerbs,
    condition: 'when',
  },
);

export type StepContent = Infer<typeof step>;
