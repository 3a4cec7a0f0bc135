import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { Readable } from 'node:stream';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { openBuildContext, type Workshop } from '../builder/index.ts';
import { LockFolder, sha256 } from '../core/index.ts';
import { isContinuousIntegration, type LockFlags, openBuildLock } from './build-lock.ts';
import type { Context, Environment } from './context.ts';

const digest = sha256('x');
let folder: string;
let said: string;

beforeEach(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'kiln-build-lock-'));
  await writeFile(path.join(folder, 'Buildfile'), 'from = "scratch"\n');
  said = '';
});
afterEach(() => rm(folder, { recursive: true }));

describe('openBuildLock', () => {
  // What happens to a new answer: it is written, only used, or refused.
  it.each([
    ['a lock file', true, {}, {}, 'written'],
    ['none', false, {}, {}, 'written'],
    ['a lock file, in CI', true, { CI: 'true' }, {}, 'refused'],
    ['none, in CI', false, { CI: 'true' }, {}, 'used'],
    ['a lock file, in CI, with --frozen=false', true, { CI: 'true' }, { frozen: false }, 'written'],
    ['none, in CI, with --frozen=false', false, { CI: 'true' }, { frozen: false }, 'written'],
    ['a lock file, with --frozen', true, {}, { frozen: true }, 'refused'],
    ['none, with --frozen', false, {}, { frozen: true }, 'refused'],
    ['a lock file, with --no-lock', true, {}, { 'no-lock': true }, 'used'],
    ['a lock file, in CI, with --no-lock', true, { CI: '1' }, { 'no-lock': true }, 'used'],
  ] as const)('decides for %s', async (_, isThere, env, flags, expected) => {
    if (isThere) await writeFile(path.join(folder, 'Buildfile.lock'), 'version = 1\n');

    expect(await fate(env, flags)).toBe(expected);
  });

  it('does not even read the lock file with --no-lock', async () => {
    await writeFile(path.join(folder, 'Buildfile.lock'), 'nonsense');

    expect(await fate({}, { 'no-lock': true })).toBe('used');
    await expect(fate({}, {})).rejects.toMatchObject({ code: 'LOCK_INVALID' });
  });

  it('does not take --frozen and --no-lock together', async () => {
    await expect(fate({}, { frozen: true, 'no-lock': true })).rejects.toMatchObject({ code: 'USAGE_LOCK' });
  });

  it('does not fail a build over a file that cannot be written', async () => {
    // Not even root makes files in /proc.
    expect(await fate({}, {}, '/proc/Buildfile')).toBe('used');
    expect(said).toContain('cannot be written');
  });

  it('says that it wrote the file, or that CI locks nothing, unless it is to be quiet', async () => {
    await fate({ CI: '1' }, {});
    expect(said).toContain('CI is set and there is no');
    said = '';
    await fate({}, {});
    expect(said).toMatch(/Buildfile\.lock is new: commit it\n$/);
    said = '';
    await rm(path.join(folder, 'Buildfile.lock'));
    await fate({}, { quiet: true });
    expect(said).toBe('');
  });
});

it.each([
  [undefined, false],
  ['', false],
  ['0', false],
  ['False', false],
  ['1', true],
  ['true', true],
  ['woodpecker', true],
])('takes CI=%s for CI: %s', (CI, expected) => {
  expect(isContinuousIntegration({ CI })).toBe(expected);
});

async function fate(
  env: Environment,
  flags: Partial<LockFlags>,
  buildfile?: string,
): Promise<'refused' | 'written' | 'used'> {
  const opened = { ...(await openBuildContext(folder)), ...(buildfile === undefined ? {} : { buildfile }) };
  const given = { frozen: undefined, 'no-lock': false, quiet: false, ...flags };
  const lock = await openBuildLock(contextWith(env), given, opened);
  try {
    lock.pins.keep('images', 'a.example/x:1', digest);
  } catch (error) {
    expect(error).toMatchObject({ code: 'LOCK_FROZEN' });
    return 'refused';
  }
  expect(lock.pins.find('images', 'a.example/x:1')).toBe(digest);
  // Of the workshop it takes the locks.
  await lock.save({ locks: new LockFolder(path.join(folder, 'locks')) } as unknown as Workshop);
  const text = await readFile(path.join(folder, 'Buildfile.lock'), 'utf8').catch(() => '');
  return text.includes(digest) ? 'written' : 'used';
}

function contextWith(env: Environment): Context {
  const sink = {
    write: (text: string | Uint8Array) => {
      said += String(text);
    },
    isTerminal: false,
    columns: undefined,
    rows: undefined,
  };
  return {
    env,
    folder,
    terminal: {
      input: Readable.from([]),
      out: sink,
      err: sink,
      animates: false,
      say: (line) => sink.write(`${line}\n`),
      divert: () => ({ [Symbol.dispose]: () => {} }),
    },
    clock: { now: () => 0 },
    signal: new AbortController().signal,
    passSignalsOn: () => ({ [Symbol.dispose]: () => {} }),
    words: [],
  };
}
