import { describe, expect, it } from 'vitest';
import { assemblePlan, type StageDraft } from './assemble-plan.ts';
import type { PlanOptions } from './plan-options.ts';

const platform = { os: 'linux', architecture: 'amd64' };
const position = { file: 'Buildfile', line: 1, column: 1 };

/** A stage for each name with what it needs; absent ones say why. */
function draftsOf(needs: Readonly<Record<string, readonly string[] | string>>): readonly StageDraft[] {
  return Object.entries(needs).map(([name, given]) => {
    if (typeof given === 'string') return { name, stage: undefined, needs: [], absent: given };
    const stage = { name, base: { kind: 'scratch' }, steps: [], image: {}, position } as const;
    return { name, stage, needs: given.map((needed) => ({ stage: needed, position })) };
  });
}

function assemble(drafts: readonly StageDraft[], asked: PlanOptions['targets'] = [], usual?: string) {
  const frame = { platform, default: usual === undefined ? undefined : { name: usual, position } };
  const { plan, problems } = assemblePlan(drafts, frame, asked);
  return {
    targets: plan.targets,
    stages: plan.stages.map(({ name }) => name),
    problems: problems.map(({ message, position: { file } }) => `${file}: ${message}`),
  };
}

describe('assemblePlan', () => {
  const drafts = draftsOf({ base: [], a: ['base'], b: ['base', 'a'], other: [] });

  it.each<[string, PlanOptions['targets'], string | undefined, string[], string[]]>([
    ['the last stage', [], undefined, ['other'], ['other']],
    ['the default of the file', [], 'b', ['b'], ['base', 'a', 'b']],
    ['what is asked for, each once', ['a', 'other', 'a'], 'b', ['a', 'other'], ['base', 'a', 'other']],
    ['all', 'all', 'b', ['base', 'a', 'b', 'other'], ['base', 'a', 'b', 'other']],
  ])('takes as target %s, with what it needs before it', (_title, asked, usual, targets, stages) => {
    expect(assemble(drafts, asked, usual)).toEqual({ targets, stages, problems: [] });
  });

  it('tells unknown targets, and an unknown default even when it is not used', () => {
    expect(assemble(drafts, ['aa'], 'bb').problems).toEqual([
      'Buildfile: unknown stage `bb`; this file has base, a, b, other',
      '--target: unknown stage `aa`; this file has base, a, b, other',
    ]);
    expect(assemble(drafts, [], 'bb').problems).toHaveLength(1);
  });

  it('tells circles, also among stages that are not needed', () => {
    const round = draftsOf({ a: ['b'], b: ['a'], c: [] });

    expect(assemble(round).problems).toEqual(['Buildfile: stages need each other: `a` → `b` → `a`']);
  });
});

describe('a stage that is absent', () => {
  const drafts = draftsOf({ base: [], user: ['gone'], fine: ['base'], gone: 'only when X is `1`, and it is ``' });

  it('is neither the last one nor one of all', () => {
    expect(assemble(draftsOf({ base: [], gone: 'only when …' }))).toEqual({
      targets: ['base'],
      stages: ['base'],
      problems: [],
    });
    expect(assemble(draftsOf({ base: [], gone: 'only when …' }), 'all').targets).toEqual(['base']);
  });

  it('may be needed by a stage that nobody needs', () => {
    expect(assemble(drafts, ['fine'])).toEqual({ targets: ['fine'], stages: ['base', 'fine'], problems: [] });
  });

  it.each<[string, PlanOptions['targets'], string | undefined, string]>([
    ['asked for', ['gone'], undefined, '--target'],
    ['the default', [], 'gone', 'Buildfile'],
    ['needed', ['user'], undefined, 'Buildfile'],
    ['needed by one of all', 'all', undefined, 'Buildfile'],
  ])('is a problem when it is %s', (_title, asked, usual, file) => {
    expect(assemble(drafts, asked, usual).problems).toEqual([
      `${file}: stage \`gone\` is there only when X is \`1\`, and it is \`\``,
    ]);
  });

  it('says why when there is no other', () => {
    expect(assemble(draftsOf({ gone: 'only when …' })).problems).toEqual([
      '--target: stage `gone` is there only when …',
    ]);
  });
});
