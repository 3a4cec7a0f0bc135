import { statSync } from 'node:fs';
import path from 'node:path';
import { type ExplainedBuild, type ExplainedStep, explainBuild, RecordStore, traceName } from '../builder/index.ts';
import { ToolError } from '../core/index.ts';
import { formatAge } from './age.ts';
import type { ExplainFlags } from './commands/explain.ts';
import type { Context } from './context.ts';
import { exitCodes } from './exit-codes.ts';
import { formatExplainedStep } from './explain-report.ts';
import { homeOf } from './store.ts';

/** `kiln explain`. Reads records only: it needs no root file system and no lock. */
export async function runExplain(context: Context, flags: ExplainFlags, given: string | undefined): Promise<number> {
  // Other verbs take the context there: what is a folder and cannot be a step is meant as one.
  const isContext = given !== undefined && flags.context === undefined && isFolder(path.resolve(context.folder, given));
  const asked = isContext ? undefined : given;
  const contextFolder = path.resolve(context.folder, flags.context ?? (isContext ? given : '.'));
  const buildfile =
    flags.file === undefined ? path.join(contextFolder, 'Buildfile') : path.resolve(context.folder, flags.file);
  const records = new RecordStore(path.join(homeOf(context), 'records'));
  const build = await explainBuild(records, traceName(buildfile, contextFolder), { signal: context.signal });
  if (build === undefined) {
    throw new ToolError('EXPLAIN_NO_BUILD', `no build of ${buildfile} is remembered here`, {
      hint: 'run kiln build first, with the same context; -f and --context say which build is meant',
    });
  }
  const steps = asked === undefined ? build.steps : chosen(build, asked);
  print(context, flags, build, steps);
  return exitCodes.ok;
}

function isFolder(file: string): boolean {
  return statSync(file, { throwIfNoEntry: false })?.isDirectory() === true;
}

function print(
  { terminal, clock }: Context,
  flags: ExplainFlags,
  { atMs }: ExplainedBuild,
  steps: readonly ExplainedStep[],
): void {
  if (flags.json) {
    terminal.out.write(`${JSON.stringify({ builtAt: new Date(atMs).toISOString(), steps })}\n`);
    return;
  }
  const hits = steps.filter(({ outcome }) => outcome === 'hit').length;
  terminal.out.write(`Last built ${formatAge(atMs, clock.now())}; ${hits} of ${steps.length} steps from the cache\n`);
  for (const step of steps) terminal.out.write(`${formatExplainedStep(step).join('\n')}\n`);
}

function chosen({ steps }: ExplainedBuild, asked: string): readonly ExplainedStep[] {
  const [, stage, number] = /^(?:(.+):)?(\d+)$/.exec(asked) ?? [];
  const found = steps.filter((step) =>
    number === undefined
      ? step.title.toLowerCase().includes(asked.toLowerCase())
      : (stage === undefined || step.stage === stage) && new RegExp(`^\\[[^\\]]*\\b${number}/\\d+\\]`).test(step.title),
  );
  if (found.length > 0) return found;
  throw new ToolError('EXPLAIN_NO_STEP', `the last build had no step ${JSON.stringify(asked)}`, {
    hint: `it had:\n${steps
      .slice(0, 20)
      .map(({ title }) => `  ${title}`)
      .join('\n')}`,
  });
}
