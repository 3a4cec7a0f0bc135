import { describe, expect, it } from 'vitest';
import { planBuildfile } from '../plan/make-plan.ts';
import { planUntil } from './until-step.ts';

const platform = { os: 'linux', architecture: 'amd64' };
const plan = planBuildfile(
  `
  [stages.deps]
  from = "node"
  steps = [{ run = "npm ci" }, { run = "npm test", name = "tests" }]
  [stages.other]
  from = "node"
  steps = [{ run = "other" }]
  [stages.app]
  from = "scratch"
  steps = [{ env = { A = "1" } }, { copy = "a", to = "/a" }, { user = "5" }, { copy = "b", from = "other", to = "/b" }, { copy = "c", from = "deps", to = "/c" }]
  [stages.app.image]
  user = "7"
  `,
  'Buildfile',
  { targets: [], args: new Map(), platform, buildPlatform: platform, baseFolder: '/' },
);

function shape(wanted: string): unknown {
  const cut = planUntil(plan, wanted);
  return { targets: cut.targets, stages: cut.stages.map(({ name, steps }) => `${name}:${steps.length}`) };
}

describe('planUntil', () => {
  it.each([
    ['1', { targets: ['app'], stages: ['app:2'] }],
    ['app:2', { targets: ['app'], stages: ['other:1', 'app:4'] }],
    ['3', { targets: ['app'], stages: ['other:1', 'deps:2', 'app:5'] }],
    ['deps:1', { targets: ['deps'], stages: ['deps:1'] }],
    ['tests', { targets: ['deps'], stages: ['deps:2'] }],
    ['0', { targets: ['app'], stages: ['app:0'] }],
  ])('ends after %s', (wanted, expected) => {
    const { stages, ...rest } = shape(wanted) as { stages: string[]; targets: string[] };

    expect({ ...rest, stages: stages.toSorted() }).toEqual({ ...expected, stages: expected.stages.toSorted() });
  });

  it('leaves away what the image says of itself', () => {
    expect(planUntil(plan, '1').stages.at(-1)?.image).toEqual({});
  });

  it.each([
    ['4', 'stage app has no step of that number'],
    ['deps:3', 'stage deps has no step of that number'],
    ['elsewhere:1', 'no stage elsewhere'],
    ['test', 'no step has that name'],
  ])('lists the steps when there is no %s', (wanted, problem) => {
    expect(() => planUntil(plan, wanted)).toThrow(
      expect.objectContaining({
        code: 'USAGE_UNTIL',
        message: expect.stringContaining(problem),
        hint: expect.stringMatching(/deps:2 {2}tests[\s\S]*app:1 {2}COPY a/),
      }),
    );
  });
});
