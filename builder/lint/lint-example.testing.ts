import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { openBuildContext } from '../engine/open-context.ts';
import { emptyLock, type LockContent } from '../lock/lock-content.ts';
import type { LintInput } from './lint.ts';

/** A Buildfile and what lies beside it. */
export interface LintExample {
  /** What follows `from = "debian:12"`, unless it begins with a `from` or stages. */
  readonly text: string;
  /** Besides the Buildfile. */
  readonly files?: Readonly<Record<string, string>>;
  readonly lock?: Partial<LockContent>;
}

/** What a rule hits, with the text that is underlined, and what is near and fine. */
export interface RuleExamples {
  readonly hits: readonly (readonly [LintExample, string])[];
  readonly misses: readonly LintExample[];
}

/** Folders with examples in them, gone when it is disposed. */
export class ExampleFolder implements AsyncDisposable {
  readonly #folder: string;
  #count = 0;

  private constructor(folder: string) {
    this.#folder = folder;
  }

  static async make(): Promise<ExampleFolder> {
    return new ExampleFolder(await mkdtemp(path.join(tmpdir(), 'kiln-lint-')));
  }

  async open({ text, files = {}, lock }: LintExample): Promise<LintInput> {
    const context = path.join(this.#folder, String(this.#count++));
    const isWhole = /^(?:from|include|default|\[stages)/m.test(text.replace(/\[\[?steps[\s\S]*/, ''));
    const buildfile = isWhole ? text : `from = "debian:12"\n${text}`;
    for (const [name, content] of Object.entries({ Buildfile: buildfile, ...files })) {
      await mkdir(path.dirname(path.join(context, name)), { recursive: true });
      await writeFile(path.join(context, name), content);
    }
    const opened = await openBuildContext(context);
    const platform = { os: 'linux', architecture: 'amd64' };
    const { includes } = opened;
    const plan = { targets: [], args: new Map(), platform, buildPlatform: platform, baseFolder: context, includes };
    return { context: opened, plan, lock: lock === undefined ? undefined : { ...emptyLock, ...lock } };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await rm(this.#folder, { recursive: true });
  }
}

/** A step that runs a script; `more` are further keys. */
export function runs(script: string, more = ''): LintExample {
  return { text: `[[steps]]\nrun = '''${script}'''\n${more}` };
}

/** A stage for others to start from. */
export const baseStage = '[stages.base]\nfrom = "debian:12"\n';
