import { Readable } from 'node:stream';
import { describe, expect, it } from 'vitest';
import type { CredentialSource, HostConfiguration } from '../registry/index.ts';
import type { Context } from './context.ts';
import { recordingTerminal } from './progress/fake-terminal.ts';
import { askForLogin, FlagCredentials, type GivenLogin } from './registry-credentials.ts';

const saved: CredentialSource = { find: async (registry) => ({ username: 'saved', secret: registry }) };
const nowhere: HostConfiguration = { endpoints: async () => [] };

function contextWith(input = ''): Context & { readonly terminal: ReturnType<typeof recordingTerminal> } {
  return {
    terminal: { ...recordingTerminal(), input: Readable.from([Buffer.from(input)]) },
    env: {},
    folder: '/',
    clock: { now: () => 0 },
    signal: new AbortController().signal,
    passSignalsOn: () => ({ [Symbol.dispose]: () => undefined }),
    words: [],
  };
}

describe('credentials of flags', () => {
  it('are for the registry that is asked for first, by exact name, and for no other', async () => {
    const flags = FlagCredentials.from(contextWith(), { creds: 'me:p:w' }, saved);
    const hosts = flags?.watching(nowhere);
    await hosts?.endpoints({ registry: 'a.example:5000', repository: 'x' });
    await hosts?.endpoints({ registry: 'mirror.example', repository: 'x' });

    expect(await flags?.find('a.example:5000')).toEqual({ username: 'me', secret: 'p:w' });
    for (const other of ['a.example', 'a.example:5001', 'mirror.example', 'x.a.example:5000']) {
      expect(await flags?.find(other)).toEqual({ username: 'saved', secret: other });
    }
  });

  it('are nobody’s before a registry is asked for', async () => {
    const flags = FlagCredentials.from(contextWith(), { creds: 'me:pw' }, saved);

    expect(await flags?.find('a.example')).toMatchObject({ username: 'saved' });
  });

  it('are none without such flags', () => {
    expect(FlagCredentials.from(contextWith(), {}, saved)).toBeUndefined();
  });

  it('read stdin once for both sides of a copy', async () => {
    const context = contextWith('from stdin\n');
    const given = { username: 'me', 'password-stdin': true };

    const both = await Promise.all([askForLogin(context, given), askForLogin(context, given)]);

    expect(both).toEqual(Array(2).fill({ username: 'me', secret: 'from stdin' }));
    expect(context.terminal.err.text).toBe('');
  });

  it('on the command line are warned of, without being repeated', async () => {
    const context = contextWith();

    await askForLogin(context, { creds: 'me:hunter2' });

    expect(context.terminal.err.text).toContain('visible to others');
    expect(context.terminal.err.text).not.toContain('hunter2');
  });

  it.each<[GivenLogin, string]>([
    [{ creds: 'me:pw', username: 'me' }, '--creds excludes'],
    [{ creds: 'me:pw', 'password-stdin': true }, '--creds excludes'],
    [{ 'password-stdin': true }, '--password-stdin needs --username'],
    [{ username: 'me', password: 'pw', 'password-stdin': true }, 'exclude each other'],
  ])('that contradict each other are refused: %j', (given, message) => {
    expect(() => FlagCredentials.from(contextWith(), given, saved)).toThrow(message);
  });

  it.each(['me:', ':pw'])('that are empty are refused: %s', async (creds) => {
    await expect(askForLogin(contextWith(), { creds })).rejects.toMatchObject({ code: 'USAGE_CREDENTIALS' });
  });

  it('without a password need a terminal to ask for it', async () => {
    await expect(askForLogin(contextWith(), { creds: 'me' })).rejects.toMatchObject({ code: 'USAGE_NO_TERMINAL' });
  });
});
