import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync, statSync } from 'node:fs';
import path from 'node:path';
import { expect } from 'vitest';
import type { Account, Outcome, RunOptions } from '../account.ts';
import { busyboxProject, type Kiln, openKiln, project } from './kiln.ts';
import { stillRunning, unfinished } from './nothing-left.ts';

const program = path.join(path.dirname(path.dirname(import.meta.dirname)), 'bin', 'kiln');

/** Bytes that hostile input wants: they are in a file outside every context, and in the secret `token`. */
export const secret = 'hunter22-of-the-potter';

/** One account's Kiln, with an image named `base`, and beside its contexts a file that no build may read or change. */
export interface Siege extends AsyncDisposable {
  readonly kiln: Kiln;
  readonly account: Account;
  /** A folder that only the account may enter; its one file, `marker`, holds `secret`. */
  readonly outside: string;
  /** A new context with these files. */
  context(files: Readonly<Record<string, string>>): string;
  /** What `kiln build` says about the context; it is an error when a minute was not enough. */
  build(context: string, flags?: readonly string[], options?: RunOptions): Promise<Outcome>;
  /** Any command line of Kiln's, watched as `build` is. */
  run(args: readonly string[], options?: RunOptions): Promise<Outcome>;
  /** The same on a terminal, which is standard output and standard error. */
  onTerminal(args: readonly string[]): Promise<Outcome>;
  /** What was started otherwise, and is to be judged with the rest. */
  heard(outcome: Outcome): void;
  /** Nothing runs, is mounted or unfinished; nothing outside was changed; nobody has seen the secret. */
  unharmed(): Promise<void>;
}

export async function openSiege(kind: Account['kind']): Promise<Siege> {
  const kiln = await openKiln(kind);
  const { account } = kiln;
  await kiln.ok(['build', '-q', '-t', 'base', busyboxProject(account, 'base')]);
  const outside = project(account, 'outside', { marker: `${secret}\n` });
  const marker = path.join(outside, 'marker');
  const before = traceOf(outside, marker);
  const outputs: Outcome[] = [];
  let contexts = 0;
  const run: Siege['run'] = async (args, options) => {
    const outcome = await kiln.run(args, { timeoutMs: 60_000, ...options });
    outputs.push(outcome);
    return outcome;
  };
  return {
    kiln,
    account,
    outside,
    context: (files) => project(account, `context-${++contexts}`, files),
    run,
    build: (context, flags = [], options = {}) =>
      run(['build', '--progress', 'plain', '-t', 'victim', ...flags, context], options),
    onTerminal: (args) => {
      const line = [program, ...args].map((word) => `'${word}'`).join(' ');
      return account.run(['script', '--quiet', '--return', '--command', line, '/dev/null'], {
        timeoutMs: 60_000,
        env: { KILN_HOME: kiln.store, TERM: 'xterm' },
      });
    },
    heard: (outcome) => outputs.push(outcome),
    async unharmed() {
      expect(await stillRunning(kiln), 'runs or is mounted').toEqual([]);
      expect(unfinished(kiln), 'lies in the folder for unfinished work').toEqual([]);
      expect(traceOf(outside, marker), 'the file outside').toEqual(before);
      for (const { status, stdout, stderr } of outputs.splice(0)) {
        expect(status, `crashed or was killed: ${stderr}`).not.toBe(137);
        expect(stderr).not.toMatch(/^\s+at .*\.(js|ts):\d+/m);
        expect(`${stdout}${stderr}`).not.toContain(secret);
        expect(withoutOutput(stderr), 'has control characters for the terminal').not.toMatch(/[^\P{Cc}\n\t]/u);
      }
      // Records, logs, layers and configs: nothing in a store is compressed, unless it came so.
      const found = spawnSync('grep', ['-rlaF', '--devices=skip', '-e', secret, kiln.store], { encoding: 'utf8' });
      expect(found.stdout, 'holds the secret').toBe('');
    },
    [Symbol.asyncDispose]: () => kiln[Symbol.asyncDispose](),
  };
}

/** A log without what the steps printed, which it has byte for byte: only on a terminal that is made harmless. */
function withoutOutput(log: string): string {
  return log.replace(/^#\d+ \d+\.\d{3} [^\n]*/gm, '');
}

/** All that a change of the folder or the file would change. */
function traceOf(folder: string, marker: string): object {
  const { mode, uid, gid, nlink, mtimeMs, ctimeMs } = statSync(marker);
  return { names: readdirSync(folder), text: readFileSync(marker, 'utf8'), mode, uid, gid, nlink, mtimeMs, ctimeMs };
}

/** The refusal of a build: the exit code, a code or a sentence, and no result. */
export function refusal(status: number, sentence: RegExp): object {
  return { status, stdout: '', stderr: expect.stringMatching(sentence) };
}

/** A context's Buildfile on `base`, with these steps as TOML tables. */
export function stepsOnBase(...steps: readonly string[]): string {
  return `from = "base"\nsteps = [\n${steps.map((step) => `  { ${step} },\n`).join('')}]\n`;
}
