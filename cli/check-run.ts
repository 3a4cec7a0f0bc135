import {
  BuildfileError,
  type Finding,
  type FixResult,
  fixBuildfile,
  type LintInput,
  type LintResult,
  lintBuildfile,
  lockPlace,
  openBuildContext,
  readLock,
} from '../builder/index.ts';
import { ToolError } from '../core/index.ts';
import { planOptionsFor } from './build-request.ts';
import { findingsAsJson, findingsAsText, fixedAsText, summaryOf } from './check-report.ts';
import type { CheckFlags } from './commands/check.ts';
import type { Context } from './context.ts';
import { exitCodes } from './exit-codes.ts';
import { findingsAsSarif, problemsAsSarif } from './sarif.ts';
import { imageNames } from './short-names.ts';

/** `kiln check`. */
export async function runCheck(context: Context, flags: CheckFlags, folder: string): Promise<number> {
  const format = formatOf(flags);
  const input = await readInput(context, flags, folder);
  const { signal, terminal } = context;
  let result: LintResult & Partial<FixResult>;
  try {
    result = flags.fix ? await fixBuildfile(input, { signal }) : await lintBuildfile(input, { signal });
  } catch (error) {
    // A forge shows what is in the log it is given, and nothing else.
    if (format === 'sarif' && error instanceof BuildfileError)
      terminal.out.write(problemsAsSarif(error.problems, context.folder));
    throw error;
  }
  const { findings, texts, fixed = [] } = result;
  switch (format) {
    case 'json':
      terminal.out.write(findingsAsJson(findings, fixed));
      break;
    case 'sarif':
      terminal.out.write(findingsAsSarif(findings, context.folder));
      break;
    default:
      terminal.out.write(fixedAsText(fixed) + findingsAsText(findings, texts));
      terminal.err.write(summaryOf(findings, flags.fix));
  }
  return findings.some(counts) ? exitCodes.findings : exitCodes.ok;
}

/** Notes say what may well be meant so. */
function counts({ severity }: Finding): boolean {
  return severity !== 'note';
}

async function readInput(context: Context, flags: CheckFlags, folder: string): Promise<LintInput> {
  const { signal } = context;
  const opened = await openBuildContext(folder, {
    file: flags.file,
    workingFolder: context.folder,
    imageNames: await imageNames(context),
    signal,
  });
  const lock = await readLock(lockPlace(opened.buildfile, opened.buildfileName), { signal });
  return { context: opened, plan: planOptionsFor(opened, flags, context), lock };
}

function formatOf({ format = 'text', json }: CheckFlags): string {
  if (!json) return format;
  if (format !== 'sarif') return 'json';
  throw new ToolError('USAGE_CHECK_FORMAT', '--json and --format sarif exclude each other');
}
