import { describe, expect, it } from 'vitest';
import { errorCode } from '../core/index.ts';
import { defineCommand } from './command.ts';
import type { CommandEntry } from './command-table.ts';
import { commandHelp, parseInvocation, rootHelp } from './program.ts';

const sample = defineCommand({
  arguments: [
    { name: 'IMAGE', summary: 'An image' },
    { name: 'CMD', summary: 'Words', optional: true, many: true },
  ],
  stopsAtFirstArgument: true,
  flags: {
    rm: { kind: 'switch', summary: 'Remove' },
    frozen: { kind: 'switch', threeWay: true, summary: 'Refuse' },
    interactive: { kind: 'switch', short: 'i', summary: 'Input' },
    tty: { kind: 'switch', short: 't', summary: 'Terminal' },
    'no-cache': { kind: 'switch', summary: 'No cache' },
    env: { kind: 'list', short: 'e', placeholder: 'K=V', summary: 'Variables' },
    workdir: { kind: 'value', short: 'w', placeholder: 'DIR', summary: 'Folder' },
    hostname: { kind: 'value', short: 'h', placeholder: 'HOST', summary: 'Name' },
    pull: { kind: 'value', placeholder: 'WHEN', choices: ['always', 'never'], summary: 'When' },
  },
  examples: [{ line: 'kiln sample x', says: 'An example' }],
  run: async () => 0,
});

const plain = defineCommand({
  arguments: [{ name: 'NAME', summary: 'A name' }],
  flags: { tag: { kind: 'list', short: 't', placeholder: 'NAME', summary: 'Names' } },
  examples: [],
  run: async () => 0,
});

const entry: CommandEntry = { name: 'sample', summary: 'Try things', group: 'Kiln', load: async () => sample };

const nothing = {
  rm: false,
  frozen: undefined,
  interactive: false,
  tty: false,
  'no-cache': false,
  env: [],
  workdir: undefined,
  hostname: undefined,
  pull: undefined,
};

describe('parseInvocation', () => {
  it.each([
    { title: 'no flags', words: ['x'], flags: {}, args: ['x'] },
    { title: 'a long value after a space', words: ['--workdir', '/a', 'x'], flags: { workdir: '/a' }, args: ['x'] },
    { title: 'a long value after =', words: ['--workdir=/a', 'x'], flags: { workdir: '/a' }, args: ['x'] },
    { title: 'an empty value', words: ['--workdir=', 'x'], flags: { workdir: '' }, args: ['x'] },
    {
      title: 'a value that looks like a flag',
      words: ['--workdir', '--rm', 'x'],
      flags: { workdir: '--rm' },
      args: ['x'],
    },
    { title: 'a short value after a space', words: ['-w', '/a', 'x'], flags: { workdir: '/a' }, args: ['x'] },
    { title: 'a short value attached', words: ['-w/a', 'x'], flags: { workdir: '/a' }, args: ['x'] },
    { title: 'a short value after =', words: ['-w=/a', 'x'], flags: { workdir: '/a' }, args: ['x'] },
    { title: 'combined letters', words: ['-it', 'x'], flags: { interactive: true, tty: true }, args: ['x'] },
    {
      title: 'combined letters whose last takes a value',
      words: ['-itw', '/a', 'x'],
      flags: { interactive: true, tty: true, workdir: '/a' },
      args: ['x'],
    },
    { title: 'a switch set to true', words: ['--rm=true', 'x'], flags: { rm: true }, args: ['x'] },
    { title: 'a switch set to false', words: ['--rm', '--rm=false', 'x'], flags: { rm: false }, args: ['x'] },
    { title: 'a switch set to 0 and then on', words: ['--rm=0', '--rm', 'x'], flags: { rm: true }, args: ['x'] },
    { title: 'a short switch set to false', words: ['-it=false', 'x'], flags: { interactive: true }, args: ['x'] },
    {
      title: 'a switch whose name begins with no-',
      words: ['--no-cache', 'x'],
      flags: { 'no-cache': true },
      args: ['x'],
    },
    { title: 'that switch set to false', words: ['--no-cache=false', 'x'], flags: {}, args: ['x'] },
    { title: 'a switch with a third state', words: ['--frozen', 'x'], flags: { frozen: true }, args: ['x'] },
    {
      title: 'that switch set to false',
      words: ['--frozen', '--frozen=0', 'x'],
      flags: { frozen: false },
      args: ['x'],
    },
    {
      title: 'a repeated list',
      words: ['-e', 'A=1', '--env', 'B=2', '-eC=3', 'x'],
      flags: { env: ['A=1', 'B=2', 'C=3'] },
      args: ['x'],
    },
    {
      title: 'the last of a repeated value',
      words: ['-w', '/a', '-w', '/b', 'x'],
      flags: { workdir: '/b' },
      args: ['x'],
    },
    { title: '-h as its own flag', words: ['-h', 'box', 'x'], flags: { hostname: 'box' }, args: ['x'] },
    {
      title: 'flags after the image',
      words: ['x', '--rm', '-z', '--help'],
      flags: {},
      args: ['x', '--rm', '-z', '--help'],
    },
    { title: '-- before the image', words: ['--rm', '--', '-x', '--rm'], flags: { rm: true }, args: ['-x', '--rm'] },
    { title: '-- after the image', words: ['x', '--', 'y'], flags: {}, args: ['x', '--', 'y'] },
    { title: 'a lone dash as an argument', words: ['-', '--rm'], flags: {}, args: ['-', '--rm'] },
  ])('reads $title', ({ words, flags, args }) => {
    expect(parseInvocation(entry, sample, words)).toEqual({ kind: 'run', flags: { ...nothing, ...flags }, args });
  });

  it('takes flags after arguments where the command allows it', () => {
    const invocation = parseInvocation(entry, plain, ['x', '-t', 'a', '--tag=b']);

    expect(invocation).toEqual({ kind: 'run', flags: { tag: ['a', 'b'] }, args: ['x'] });
  });

  it.each([
    { words: ['--workdri=/a', 'x'], code: 'USAGE_FLAG_UNKNOWN', hint: 'did you mean --workdir?' },
    { words: ['-iz', 'x'], code: 'USAGE_FLAG_UNKNOWN', message: 'kiln sample has no flag -z (in -iz)' },
    { words: ['--constructor', 'x'], code: 'USAGE_FLAG_UNKNOWN' },
    { words: ['--workdir'], code: 'USAGE_FLAG_VALUE', message: '--workdir needs a value: --workdir DIR' },
    { words: ['--rm=maybe', 'x'], code: 'USAGE_FLAG_VALUE', message: '--rm is true or false, not "maybe"' },
    { words: ['--pull', 'x'], code: 'USAGE_FLAG_VALUE', message: '--pull is one of always, never, not "x"' },
    {
      words: ['--rm'],
      code: 'USAGE_ARGUMENTS',
      message: 'kiln sample needs IMAGE: kiln sample [flags] IMAGE [CMD...]',
    },
  ])('refuses $words', ({ words, ...expected }) => {
    expect(() => parseInvocation(entry, sample, words)).toThrow(expect.objectContaining(expected));
  });

  it('names what is too much', () => {
    expect(() => parseInvocation(entry, plain, ['a', 'b'])).toThrow(
      expect.objectContaining({ code: 'USAGE_ARGUMENTS', message: expect.stringContaining('does not take "b"') }),
    );
  });

  it('asks for help before anything is missing', () => {
    expect(parseInvocation(entry, sample, ['--rm', '--help'])).toEqual({ kind: 'help' });
    expect(parseInvocation(entry, plain, ['-h'])).toEqual({ kind: 'help' });
  });

  it('throws errors with a code for any mistake', () => {
    for (const words of [['--'], ['-e'], ['--=x', 'x'], ['-=', 'x'], ['---', 'x']]) {
      try {
        parseInvocation(entry, sample, words);
        expect.unreachable(`${words.join(' ')} was taken`);
      } catch (error) {
        expect(errorCode(error)).toMatch(/^USAGE_/);
      }
    }
  });
});

it('parseInvocation takes a list whose name begins with no- for one', () => {
  const filter = { kind: 'list', placeholder: 'STAGE', summary: 'Stages' } as const;
  const flags = { 'no-cache-filter': filter };
  const filtered = defineCommand({ arguments: plain.arguments, flags, examples: [], run: async () => 0 });

  const given = parseInvocation(entry, filtered, ['--no-cache-filter', 'a', '--no-cache-filter=b', 'x']);
  const absent = parseInvocation(entry, filtered, ['x']);

  expect(given).toMatchObject({ flags: { 'no-cache-filter': ['a', 'b'] } });
  expect(absent).toMatchObject({ flags: { 'no-cache-filter': [] } });
});

describe('help', () => {
  it('shows usage, arguments, flags and examples of a command', () => {
    expect(commandHelp(entry, sample, 80)).toBe(`Usage: kiln sample [flags] IMAGE [CMD...]

Try things.

Arguments:
  IMAGE                An image
  CMD                  Words

Flags:
      --rm             Remove
      --frozen         Refuse
  -i, --interactive    Input
  -t, --tty            Terminal
      --no-cache       No cache
  -e, --env K=V        Variables
  -w, --workdir DIR    Folder
  -h, --hostname HOST  Name
      --pull WHEN      When

Examples:
  # An example
  kiln sample x
`);
  });

  it('lists every command of the table', () => {
    const help = rootHelp(80);

    for (const verb of [
      'build',
      'push',
      'pull',
      'run',
      'images',
      'inspect',
      'tag',
      'rmi',
      'login',
      'logout',
      'info',
      'version',
      'rebuild',
    ]) {
      expect(help).toMatch(new RegExp(`^  ${verb} +\\S`, 'm'));
    }
  });
});
