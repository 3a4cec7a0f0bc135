import type { ChildProcess } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { type Account, type Outcome, openAccount, outcomeOf, type RunOptions } from '../account.ts';
import { findProgram } from '../requirements.ts';

const packageRoot = path.dirname(path.dirname(import.meta.dirname));

/** The built CLI as its user has it: an account, a store of its own, nothing shared with other tests. */
export class Kiln implements AsyncDisposable {
  readonly account: Account;
  readonly store: string;
  readonly #program: string;

  constructor(account: Account, program: string, store: string) {
    this.account = account;
    this.#program = program;
    this.store = store;
  }

  /** Another, empty store of the same account: the next machine. */
  withStore(name: string): Kiln {
    return new Kiln(this.account, this.#program, path.join(this.account.home, name));
  }

  run(args: readonly string[], options: RunOptions = {}): Promise<Outcome> {
    return this.account.run([this.#program, ...args], this.#withStore(options));
  }

  /** The standard output of a command that must succeed. */
  async ok(args: readonly string[], options: RunOptions = {}): Promise<string> {
    const outcome = await this.run(args, options);
    if (outcome.status === 0) return outcome.stdout;
    throw new Error(`kiln ${args.join(' ')} ended with ${outcome.status}:\n${outcome.stderr}`);
  }

  /** As `ok`, in a pipeline: standard output is a pipe, where Node gives its children a socket. */
  async piped(args: readonly string[]): Promise<string> {
    const shell = ['sh', '-c', '"$@" | cat', 'sh', this.#program, ...args];
    const outcome = await this.account.run(shell, this.#withStore({}));
    if (outcome.stderr === '') return outcome.stdout;
    throw new Error(`kiln ${args.join(' ')}:\n${outcome.stderr}`);
  }

  start(args: readonly string[], options: RunOptions = {}): ChildProcess {
    return this.account.start([this.#program, ...args], this.#withStore(options));
  }

  /** Digest of the manifest that `name` stands for in the store. */
  async digest(name: string): Promise<string> {
    const listed = await this.ok(['images', '--quiet', '--no-trunc', name]);
    return listed.trim();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.account[Symbol.asyncDispose]();
  }

  #withStore(options: RunOptions): RunOptions {
    return { ...options, env: { KILN_HOME: this.store, ...options.env } };
  }
}

export async function openKiln(kind: Account['kind']): Promise<Kiln> {
  if (!existsSync(path.join(packageRoot, 'dist'))) throw new Error('there is no built CLI: npm run build');
  const account = openAccount(kind);
  return new Kiln(account, await programFor(account), path.join(account.home, 'store'));
}

/** A folder of the account with these files in it: a build context, or any other input. */
export function project(account: Account, name: string, files: Readonly<Record<string, string>>): string {
  const folder = account.folder(name);
  for (const [file, text] of Object.entries(files)) {
    mkdirSync(path.dirname(path.join(folder, file)), { recursive: true });
    writeFileSync(path.join(folder, file), text);
  }
  return folder;
}

/** A context with a Buildfile for a base image of nothing but a static busybox: ready in a moment. */
export function busyboxProject(account: Account, name: string, files: Readonly<Record<string, string>> = {}): string {
  const buildfile = readFileSync(path.join(packageRoot, 'fixtures', 'projects', 'busybox', 'Buildfile'), 'utf8');
  const folder = project(account, name, { Buildfile: buildfile, 'etc/base-version': '1\n', ...files });
  const busybox = findProgram('busybox');
  if (busybox === undefined) throw new Error('busybox is not installed');
  cpSync(busybox, path.join(folder, 'busybox'));
  return folder;
}

/** The command line ends when the child does; `outcome` holds what it wrote. */
export function finished(child: ChildProcess): Promise<Outcome> {
  return outcomeOf(child, child.spawnargs);
}

/** @throws Error where the account may not read the checkout, as below /root */
async function programFor(account: Account): Promise<string> {
  const program = path.join(packageRoot, 'bin', 'kiln');
  const readable = await account.run(['test', '-r', program]);
  if (readable.status !== 0) throw new Error(`${packageRoot} is closed to ordinary users: run the tests by npm test`);
  return program;
}
