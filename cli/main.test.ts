import { EventEmitter } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { Readable } from 'node:stream';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { commandTable } from './command-table.ts';
import { buildFlags } from './commands/build.ts';
import { type Host, main } from './main.ts';

describe('main', () => {
  let home = '';

  beforeEach(async () => {
    home = await mkdtemp(path.join(os.tmpdir(), 'kiln-main-'));
  });

  afterEach(() => rm(home, { recursive: true, force: true }));

  it('shows the help on stdout when asked, on stderr when no command was given', async () => {
    const asked = await kiln('--help');
    const nothing = await kiln();

    expect(asked).toMatchObject({ code: 0, stderr: '', stdout: expect.stringMatching(/^Usage: kiln COMMAND/) });
    expect(nothing).toMatchObject({ code: 2, stdout: '', stderr: asked.stdout });
  });

  it.each(commandTable.map(({ name }) => name))('explains %s, with an example', async (verb) => {
    const help = await kiln('help', verb);
    const flag = await kiln(verb, '--help');

    expect(help).toEqual(flag);
    expect(help).toMatchObject({ code: 0, stderr: '' });
    expect(help.stdout).toMatch(
      new RegExp(`^Usage: kiln ${verb}\\b[\\s\\S]*\nExamples:\n {2}# .+\n {2}kiln ${verb}\\b`),
    );
  });

  it.each(commandTable)('explains $name in 80 columns', async ({ name }) => {
    const { stdout } = await kiln(name, '--help');

    expect(stdout.split('\n').filter((line) => line.length > 80)).toEqual([]);
  });

  it('tells the flags of build under headings, none left over', async () => {
    const { stdout } = await kiln('build', '--help');

    expect(stdout).toContain('\nWhat goes in:\n');
    expect(stdout).not.toMatch(/\n(?:Other flags|Flags|Options):/);
    for (const flag of Object.keys(buildFlags)) expect(stdout).toMatch(new RegExp(`\n {2}.{4}--${flag}\\b`));
  });

  it('hints at what a Dockerfile is not, where a Buildfile is to be formatted', async () => {
    await writeFile(path.join(home, 'Dockerfile'), 'FROM scratch\n');

    expect((await kiln('fmt')).stderr).toContain('hint: Kiln does not read Dockerfiles');
  });

  it('shows the version', async () => {
    const { stdout } = await kiln('version', '--json');

    expect(JSON.parse(stdout)).toMatchObject({ version: expect.stringMatching(/^\d+\.\d+\.\d+/), os: 'linux' });
    expect((await kiln('--version')).stdout).toBe((await kiln('version')).stdout);
  });

  it.each([
    { words: ['biuld', '.'], code: 2, stderr: 'kiln: kiln has no command "biuld"\n  hint: did you mean kiln build?\n' },
    {
      words: ['--debug'],
      code: 2,
      stderr: 'kiln: kiln has no flag --debug before the command\n  hint: see: kiln --help\n',
    },
    { words: ['help', 'nothing-like-it'], code: 2, stderr: expect.stringContaining('hint: see: kiln --help') },
    { words: ['ps'], code: 2, stderr: expect.stringContaining('hint: no container outlives its kiln run') },
    { words: ['system', 'prune'], code: 2, stderr: expect.stringContaining('hint: kiln df shows') },
    { words: ['run', '-d', 'x'], code: 125, stderr: expect.stringContaining('hint: containers run in the foreground') },
    { words: ['run', '-p80:80', 'x'], code: 125, stderr: expect.stringContaining('--network host') },
    { words: ['build', '--load', '.'], code: 2, stderr: expect.stringContaining('results are always in the store') },
    { words: ['build', '-f', '-', '.'], code: 2, stderr: expect.stringContaining('hint: write it into a file') },
    { words: ['build', '.'], code: 2, stderr: expect.stringContaining('there is no Buildfile in this folder\n') },
    { words: ['images', '--jsno'], code: 2, stderr: expect.stringContaining('did you mean --json?') },
    { words: ['run', '--nope', 'x'], code: 125, stderr: expect.stringContaining('kiln run has no flag --nope') },
    { words: ['run'], code: 125, stderr: expect.stringContaining('kiln run needs IMAGE') },
    { words: ['tag', 'Upper', 'x'], code: 2, stderr: expect.stringContaining('names are lower case: library/upper') },
    { words: ['inspect', 'nowhere'], code: 7, stderr: expect.stringContaining('there is no image "nowhere"') },
  ])('ends $words with $code', async ({ words, ...expected }) => {
    expect(await kiln(...words)).toEqual({ stdout: '', ...expected });
  });

  it('prints errors as JSON with --json, also those of the command line', async () => {
    const missing = await kiln('inspect', '--json', 'nowhere');
    const mistyped = await kiln('images', '--json', '--nope');

    expect(JSON.parse(missing.stderr)).toMatchObject({ error: { code: 'IMAGE_NOT_FOUND' } });
    expect(JSON.parse(mistyped.stderr)).toMatchObject({ error: { code: 'USAGE_FLAG_UNKNOWN' } });
  });

  it('does not take the --json of a container’s command for its own', async () => {
    expect((await kiln('run', '--nope', 'x', '--json')).stderr).toMatch(/^kiln: /);
  });

  it('lists an empty store', async () => {
    expect(await kiln('images')).toEqual({
      code: 0,
      stdout: 'REPOSITORY   TAG   IMAGE ID   CREATED   SIZE\n',
      stderr: '',
    });
    expect((await kiln('images', '--json')).stdout).toBe('');
  });

  it('closes the store to other users', async () => {
    await kiln('images');

    const { mode } = await import('node:fs/promises').then(({ stat }) => stat(path.join(home, 'store')));

    expect(mode & 0o777).toBe(0o700);
  });

  it('ends at once on the second interrupt, after asking for cleaning up on the first', async () => {
    const host = fakeHost(['login', '-u', 'me', '--password-stdin', 'localhost:1']);
    const ended = main(host);
    await new Promise((resolve) => setTimeout(resolve, 50));

    host.emit('SIGINT');
    expect(host.exits).toEqual([]);
    host.emit('SIGINT');

    expect(host.exits).toEqual([130]);
    expect(await ended).toBe(130);
    expect(host.listenerCount('SIGINT')).toBe(0);
  });

  it.each([
    ['SIGINT', 130],
    ['SIGTERM', 143],
  ])('exits on %s with %i', async (signal, code) => {
    const host = fakeHost(['login', '-u', 'me', '--password-stdin', 'localhost:1']);
    const ended = main(host);
    await new Promise((resolve) => setTimeout(resolve, 50));

    host.emit(signal);

    expect(await ended).toBe(code);
    expect(host.stderr.text).toContain('interrupted');
  });

  async function kiln(...words: string[]): Promise<{ code: number; stdout: string; stderr: string }> {
    const host = fakeHost(words);
    const code = await main(host);
    return { code, stdout: host.stdout.text, stderr: host.stderr.text };
  }

  function fakeHost(words: readonly string[]) {
    const emitter = new EventEmitter();
    const input = new Readable({ read() {} });
    const exits: number[] = [];
    const host = {
      argv: ['node', 'kiln', ...words],
      env: { KILN_HOME: path.join(home, 'store'), DOCKER_CONFIG: home, HOME: home, PATH: '/usr/bin:/bin' },
      stdin: input,
      input,
      stdout: fakeStream(),
      stderr: fakeStream(),
      exits,
      cwd: () => home,
      exit(code: number): never {
        exits.push(code);
        return undefined as never;
      },
      on: emitter.on.bind(emitter),
      off: emitter.off.bind(emitter),
      emit: emitter.emit.bind(emitter),
      listenerCount: emitter.listenerCount.bind(emitter),
    };
    return host satisfies Host;
  }
});

function fakeStream() {
  const chunks: Buffer[] = [];
  return {
    write(text: string | Uint8Array): boolean {
      chunks.push(Buffer.from(text));
      return true;
    },
    on: () => undefined,
    get text(): string {
      return Buffer.concat(chunks).toString('utf8');
    },
  };
}
