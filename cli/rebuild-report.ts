import { type Decision, isRegistryTrouble, type Rebuild, type RoundResult, shownDigest } from '../rebuild/index.ts';
import { exitCodes } from './exit-codes.ts';
import { harmlessLine } from './terminal-text.ts';

/** As wide as the longest of what can happen to an image. */
const stateWidth = 'unchanged'.length;

/** `app   rebuild   base registry.example/base:1 moved sha256:…`: one line; `width` is that of the longest name. */
export function decisionLine(decision: Decision, width: number): string {
  return line(decision.image, width, stateOf(decision), [sentenceOf(decision), ...decision.notes]);
}

export function rebuildLine({ image, outcome, reason }: Rebuild, width: number): string {
  switch (outcome.kind) {
    case 'pushed':
      return line(image, width, 'pushed', [reason, `now ${shownDigest(outcome.digest)}`]);
    case 'unchanged':
      return line(image, width, 'unchanged', [reason, 'the rebuild came out the same']);
    case 'failed':
      return line(image, width, 'failed', [outcome.trouble.message]);
  }
}

/** What could not be found out weighs more than what was. */
export function checkExitCode(decisions: readonly Decision[]): number {
  if (decisions.some(({ action }) => action === 'unknown')) return exitCodes.registry;
  return decisions.every(({ action }) => action === 'current') ? exitCodes.ok : exitCodes.updateAvailable;
}

export function roundExitCode({ decisions, rebuilds }: RoundResult): number {
  const troubles = rebuilds.flatMap(({ outcome }) => (outcome.kind === 'failed' ? [outcome.trouble] : []));
  if (troubles.some((trouble) => !isRegistryTrouble(trouble))) return exitCodes.step;
  const anyUnknown = decisions.some(({ action }) => action === 'unknown');
  return troubles.length > 0 || anyUnknown ? exitCodes.registry : exitCodes.ok;
}

function stateOf({ action }: Decision): string {
  return action === 'follow' ? 'follows' : action;
}

function sentenceOf(decision: Decision): string {
  switch (decision.action) {
    case 'current':
      return '';
    case 'rebuild':
    case 'follow':
      return decision.reason;
    case 'unknown':
      return decision.trouble.message;
  }
}

function line(name: string, width: number, state: string, sentences: readonly string[]): string {
  const text = sentences.filter((sentence) => sentence !== '').join('; ');
  return `${`${name.padEnd(width)}   ${state.padEnd(stateWidth)}   ${harmlessLine(text)}`.trimEnd()}\n`;
}
