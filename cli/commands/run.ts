import { defineCommand, type FlagTable, type FlagValues } from '../command.ts';
import { connectionFlags } from '../connection-flags.ts';

const ownFlags = {
  rm: { kind: 'switch', summary: 'Remove the container when it ends (always the case)' },
  interactive: { kind: 'switch', short: 'i', summary: 'Pass stdin on to the command' },
  tty: { kind: 'switch', short: 't', summary: 'Give the command this terminal' },
  env: {
    kind: 'list',
    short: 'e',
    placeholder: 'KEY[=VALUE]',
    summary: 'Environment variable; KEY alone takes it from here',
  },
  'env-file': { kind: 'list', placeholder: 'FILE', summary: 'Environment variables, one KEY=VALUE per line' },
  workdir: { kind: 'value', short: 'w', placeholder: 'DIR', summary: 'Working directory in the container' },
  user: { kind: 'value', short: 'u', placeholder: 'USER[:GROUP]', summary: 'Names or numbers' },
  volume: {
    kind: 'list',
    short: 'v',
    placeholder: 'SRC:DST[:ro]',
    summary: 'Show a folder or file of this machine in the container',
  },
  entrypoint: {
    kind: 'value',
    placeholder: 'CMD',
    summary: 'In place of the image’s entrypoint; an empty one removes it',
  },
  network: {
    kind: 'value',
    placeholder: 'MODE',
    choices: ['none', 'default', 'host'],
    summary: 'none unless given; default for a network of its own, host for this machine’s',
  },
  'read-only': { kind: 'switch', summary: 'Make the root file system read-only' },
  tmpfs: { kind: 'list', placeholder: 'DIR', summary: 'Empty memory file system at DIR' },
  hostname: { kind: 'value', short: 'h', placeholder: 'HOST', summary: 'Host name in the container' },
  pull: {
    kind: 'value',
    placeholder: 'WHEN',
    choices: ['missing', 'always', 'never'],
    summary: 'When to pull: missing (default), always, never',
  },
} as const satisfies FlagTable;

const flags = { ...ownFlags, ...connectionFlags } as const satisfies FlagTable;

export type RunFlags = FlagValues<typeof flags>;

export const run = defineCommand({
  about:
    'Runs the image’s command, or CMD in its place, in a container that is gone afterwards (--rm is always meant). The exit code is the command’s own; 125 when kiln failed, 126 when the command cannot be executed, 127 when there is none, 128+n when signal n ended it.',
  arguments: [
    { name: 'IMAGE', summary: 'Name or digest' },
    { name: 'CMD', summary: 'Command and its arguments (default: the image’s)', optional: true, many: true },
  ],
  stopsAtFirstArgument: true,
  flags,
  flagGroups: {
    Flags: Object.keys(ownFlags) as (keyof typeof ownFlags)[],
    'How registries are reached': Object.keys(connectionFlags) as (keyof typeof connectionFlags)[],
  },
  examples: [
    { line: 'kiln run --rm -it debian:bookworm bash', says: 'A shell in a fresh container' },
    {
      line: 'kiln run --rm --network host -v "$PWD/site:/var/www/html:ro" web',
      says: 'Serve a folder of this machine',
    },
  ],

  async run(context, values, [image = '', ...command]) {
    const { runContainer } = await import('../container-run.ts');
    return runContainer(context, values, image, command);
  },
});
