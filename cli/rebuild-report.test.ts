import { describe, expect, it } from 'vitest';
import { sha256 } from '../core/index.ts';
import type { Decision, Outcome, Rebuild, RoundResult } from '../rebuild/index.ts';
import { checkExitCode, decisionLine, rebuildLine, roundExitCode } from './rebuild-report.ts';

const common = { image: 'app', tag: 'r.example/app:1', notes: [] };
const trouble = { code: 'REGISTRY_UNAVAILABLE', message: 'the registry \u001b[31mis asleep' };
const digest = sha256('new');

const current: Decision = { ...common, action: 'current' };
const rebuild: Decision = { ...common, action: 'rebuild', reason: 'base r.example/base:1 moved', moved: [] };
const follow: Decision = { ...common, action: 'follow', reason: 'built on another', upstream: ['r.example/base:1'] };
const unknown: Decision = { ...common, action: 'unknown', trouble };

function rebuilt(outcome: Outcome): Rebuild {
  const { image, tag } = common;
  return { image, tag, startedAtMs: 0, durationMs: 0, reason: 'never built', moved: [], sources: [], outcome };
}

function round(decisions: readonly Decision[], ...outcomes: readonly Outcome[]): RoundResult {
  return { decisions, rebuilds: outcomes.map(rebuilt) };
}

const failedStep: Outcome = { kind: 'failed', trouble: { code: 'STEP_FAILED', message: 'no' } };
const failedPush: Outcome = { kind: 'failed', trouble };
const pushed: Outcome = { kind: 'pushed', digest };

describe('decisionLine', () => {
  it.each([
    [current, 'app    current\n'],
    [rebuild, 'app    rebuild     base r.example/base:1 moved\n'],
    [follow, 'app    follows     built on another\n'],
    [unknown, 'app    unknown     the registry is asleep\n'],
    [{ ...current, notes: ['oci:v1 is not checked'] }, 'app    current     oci:v1 is not checked\n'],
  ])('says in one line what is to be done', (decision, line) => {
    expect(decisionLine(decision, 4)).toBe(line);
  });
});

describe('rebuildLine', () => {
  it.each([
    [pushed, `app   pushed      never built; now sha256:${digest.slice(7, 19)}…\n`],
    [{ kind: 'unchanged', digest } as const, 'app   unchanged   never built; the rebuild came out the same\n'],
    [failedPush, 'app   failed      the registry is asleep\n'],
  ])('says in one line what came of it', (outcome, line) => {
    expect(rebuildLine(rebuilt(outcome), 3)).toBe(line);
  });
});

describe('checkExitCode', () => {
  it.each([
    ['nothing to do', [current, current], 0],
    ['something to rebuild', [current, rebuild, follow], 10],
    ['no answer, whatever else there is', [rebuild, unknown], 4],
  ])('tells %s', (_, decisions, code) => {
    expect(checkExitCode(decisions)).toBe(code);
  });
});

describe('roundExitCode', () => {
  it.each([
    ['nothing to do', round([current]), 0],
    ['all rebuilt', round([rebuild], pushed), 0],
    ['no answer from a registry', round([unknown, rebuild], pushed), 4],
    ['a push that failed', round([rebuild], failedPush), 4],
    ['a build that failed, whatever else did', round([unknown, rebuild, rebuild], failedPush, failedStep), 3],
  ])('tells %s', (_, result, code) => {
    expect(roundExitCode(result)).toBe(code);
  });
});
