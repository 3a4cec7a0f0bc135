import type { ExplainedStep, InputChange } from '../builder/index.ts';
import { harmlessLine } from './terminal-text.ts';

/** Changes that are listed one by one; the rest is counted. */
const maxListed = 20;

/** What inputs are called in sentences. */
const inputNames: Readonly<Record<string, string>> = {
  engine: 'the version of Kiln’s engine',
  files: 'files',
  binds: 'mounted files',
  argv: 'the command',
  env: 'variable',
  user: 'the user',
  workdir: 'the working directory',
  network: 'the network',
  to: 'the destination',
  owner: 'the owner',
  mode: 'the mode',
  packages: 'package',
  base: 'the base',
  platform: 'the platform',
};

/** A step in lines: its title and outcome, then why. */
export function formatExplainedStep(step: ExplainedStep): string[] {
  const outcome = step.outcome === 'hit' ? 'CACHED' : step.outcome === 'miss' ? 'RAN' : 'FAILED';
  return [`${outcome.padEnd(7)}${harmlessLine(step.title)}`, ...reasonLines(step).map((line) => `       ${line}`)];
}

function reasonLines({ reason }: ExplainedStep): string[] {
  switch (reason.kind) {
    case 'unchanged':
      return [];
    case 'first':
      return ['nothing like it was built here before'];
    case 'forced':
      return ['asked for: --no-cache'];
    case 'no-result':
      return ['its inputs are the same, but there was no result: it had failed, or the result was removed'];
    case 'changed':
      return changeLines(reason.changes);
  }
}

function changeLines(changes: readonly InputChange[]): string[] {
  const shown = changes.slice(0, maxListed).map((change) => harmlessLine(changeLine(change)));
  return changes.length > maxListed ? [...shown, `… and ${changes.length - maxListed} more`] : shown;
}

function changeLine({ input, part, before, after }: InputChange): string {
  if (input === 'parent') return 'what is below it changed: an earlier step gave another result';
  if (input === 'files' || input === 'binds') return `${part ?? 'the files'}: ${moved(before, after)}`;
  const name = inputNames[input] ?? input;
  return `${part === undefined ? name : `${name} ${part}`}: ${moved(before, after)}`;
}

function moved(before: string | undefined, after: string | undefined): string {
  if (before === undefined) return `new${after === undefined || after === '' ? '' : ` (${short(after)})`}`;
  if (after === undefined) return 'gone';
  return `${short(before)} → ${short(after)}`;
}

/** Digests by their first digits; long texts by their beginning. */
function short(text: string): string {
  const digest = /^(sha\d+:[0-9a-f]{12})[0-9a-f]+$/.exec(text)?.[1];
  if (digest !== undefined) return digest;
  return text.length > 120 ? `${text.slice(0, 119)}…` : text === '' ? '""' : text;
}
