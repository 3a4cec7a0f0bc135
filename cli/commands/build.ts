import { defineCommand, type FlagTable, type FlagValues } from '../command.ts';
import { connectionFlags } from '../connection-flags.ts';
import { progressModes } from '../progress/progress.ts';

/** Also what other verbs that build take from. */
export const buildFlags = {
  tag: {
    kind: 'list',
    short: 't',
    placeholder: 'NAME',
    summary: 'Name for the result, NAME[:TAG], or STAGE=NAME[:TAG] with several targets; may be repeated',
  },
  file: { kind: 'value', short: 'f', placeholder: 'FILE', summary: 'The Buildfile (default CONTEXT/Buildfile)' },
  target: {
    kind: 'list',
    placeholder: 'STAGE',
    summary: 'Stage to build (default: the file’s default, else its last); may be repeated',
  },
  all: { kind: 'switch', summary: 'Build every stage' },
  'build-arg': {
    kind: 'list',
    placeholder: 'KEY=VALUE',
    summary: 'Value for one of the file’s args; KEY alone takes it from the environment',
  },
  'build-context': {
    kind: 'list',
    placeholder: 'NAME=SOURCE',
    summary:
      'What a name means in from: a folder (that is there, or ./FOLDER), else an image (also docker-image://NAME), or oci:PATH[:NAME]',
  },
  platform: {
    kind: 'list',
    placeholder: 'OS/ARCH',
    summary: 'Platform of the result; several, separated by commas, give an index',
  },
  'no-cache': { kind: 'switch', summary: 'Carry out every step again' },
  'no-cache-filter': { kind: 'list', placeholder: 'STAGE', summary: 'Carry out the steps of this stage again' },
  pull: { kind: 'switch', summary: 'Ask the registry for newer base images' },
  push: { kind: 'switch', summary: 'Push every name when the build has succeeded' },
  secret: {
    kind: 'list',
    placeholder: 'id=ID[,…]',
    summary: 'A secret that steps may mount: src=FILE or env=NAME, else the variable or file ID',
  },
  ssh: { kind: 'list', placeholder: 'ID[=SOCKET]', summary: 'An ssh agent that steps may mount; often default' },
  network: {
    kind: 'value',
    placeholder: 'MODE',
    choices: ['default', 'none', 'host'],
    summary: 'Network of steps that name none: default (their own, with a way out), none or host',
  },
  jobs: {
    kind: 'value',
    short: 'j',
    placeholder: 'N',
    summary: 'Steps that run at once (default: one per processor, at least four)',
  },
  memory: { kind: 'value', short: 'm', placeholder: 'SIZE', summary: 'Memory of each step: 512m, 2g' },
  cpus: { kind: 'value', placeholder: 'N', summary: 'Processors of each step: 1.5' },
  'pids-limit': { kind: 'value', placeholder: 'N', summary: 'Processes and threads of each step' },
  'shm-size': { kind: 'value', placeholder: 'SIZE', summary: 'Size of /dev/shm (default 64m)' },
  ulimit: { kind: 'list', placeholder: 'NAME=LIMIT', summary: 'A limit of each process, SOFT[:HARD]: nofile=1024' },
  frozen: {
    kind: 'switch',
    threeWay: true,
    summary: 'Refuse to change Buildfile.lock (the default when CI is set; --frozen=false)',
  },
  'no-lock': { kind: 'switch', summary: 'Neither read nor write Buildfile.lock' },
  'cache-from': {
    kind: 'list',
    placeholder: 'SPEC',
    summary: 'Take results of steps from there: type=registry,ref=NAME or type=local,src=FOLDER',
  },
  'cache-to': {
    kind: 'list',
    placeholder: 'SPEC',
    summary: 'Put results of steps there: type=registry,ref=NAME or type=local,dest=FOLDER; mode=min|max',
  },
  output: {
    kind: 'list',
    short: 'o',
    placeholder: 'SPEC',
    summary: 'Write the result there as well: type=oci|docker|tar|local,dest=PATH, or a folder; dest=- is stdout',
  },
  squash: { kind: 'switch', summary: 'Make one layer of all, the base’s too' },
  label: { kind: 'list', placeholder: 'KEY=VALUE', summary: 'Label for the result; may be repeated' },
  annotation: {
    kind: 'list',
    placeholder: 'KEY=VALUE',
    summary: 'Annotation for the result, manifest:KEY or index:KEY for one of these; may be repeated',
  },
  iidfile: { kind: 'value', placeholder: 'FILE', summary: 'Write the digest into FILE' },
  'metadata-file': {
    kind: 'value',
    placeholder: 'FILE',
    summary: 'Write digests, names and layers into FILE, as JSON',
  },
  'context-report': { kind: 'switch', summary: 'Say what was read of the context, and what the ignore file dropped' },
  'shell-on-failure': { kind: 'switch', summary: 'Open a shell in the container of a step that failed' },
  until: {
    kind: 'value',
    placeholder: 'STEP',
    summary: 'Stop after this step: its number, STAGE:NUMBER, or its name; with -it open a shell there',
  },
  interactive: {
    kind: 'switch',
    short: 'i',
    word: '-it',
    summary: 'With --until: open a shell in the step’s container (also -it)',
  },
  progress: {
    kind: 'value',
    placeholder: 'MODE',
    choices: progressModes,
    summary: `How progress is shown: ${progressModes.join(', ')}`,
  },
  quiet: { kind: 'switch', short: 'q', summary: 'Print only the digest' },
  json: { kind: 'switch', summary: 'Print the result as one JSON object, and errors as such' },
  ...connectionFlags,
} as const satisfies FlagTable;

export type BuildFlags = FlagValues<typeof buildFlags>;

export const build = defineCommand({
  about:
    'Reads CONTEXT/Buildfile (or --file), builds the stages its targets need, and names the results in the store. Digests are printed on stdout, progress on stderr.',
  arguments: [{ name: 'CONTEXT', summary: 'Folder whose files the build may copy' }],
  flags: buildFlags,
  flagGroups: {
    'What to build': ['file', 'target', 'all', 'tag', 'platform', 'build-arg', 'label', 'annotation', 'squash'],
    'What goes in': ['build-context', 'secret', 'ssh', 'pull', 'context-report'],
    'How steps run': ['jobs', 'network', 'memory', 'cpus', 'pids-limit', 'shm-size', 'ulimit'],
    'Cache and lock file': ['no-cache', 'no-cache-filter', 'cache-from', 'cache-to', 'frozen', 'no-lock'],
    'Where results go': ['push', 'output', 'iidfile', 'metadata-file', 'progress', 'quiet', 'json'],
    'Looking into a build': ['until', 'interactive', 'shell-on-failure'],
    'How registries are reached': Object.keys(connectionFlags) as (keyof typeof connectionFlags)[],
  },
  examples: [
    { line: 'kiln build -t registry.example:5000/site:1.2 .', says: 'Build the Buildfile of this folder' },
    {
      line: 'kiln build -t site --target app --build-arg NODE=24 --push ./site',
      says: 'One stage, with an argument, and push it',
    },
    {
      line: 'kiln build --target app --target job -t app=shop/app -t job=shop/job .',
      says: 'Two stages in one run',
    },
  ],

  async run(context, values, [folder = '.']) {
    const { runBuild } = await import('../build-run.ts');
    return runBuild(context, values, folder);
  },
});
