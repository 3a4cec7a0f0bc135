import { describe, expect, it } from 'vitest';
import type { CopyStep, FetchStep, PackagesStep, Plan, PlanStage, Step } from '../plan/plan.ts';
import { packagesQuestionsOf, planBefore, questionsOf } from './questions.ts';

const position = { file: 'Buildfile', line: 1, column: 1 };
const platform = { os: 'linux', architecture: 'amd64' };
const commit = 'a'.repeat(40);

function stage(name: string, base: PlanStage['base'], ...steps: Step[]): PlanStage {
  return { name, base, steps, image: {}, position };
}
function plan(...stages: PlanStage[]): Plan {
  return { platform, stages, targets: [stages.at(-1)?.name ?? ''] };
}
function fetch(source: FetchStep['source'], checksum?: string): FetchStep {
  return { verb: 'fetch', source, to: '/x', unpack: false, position, ...(checksum === undefined ? {} : { checksum }) };
}
function copy(from: CopyStep['from']): CopyStep {
  const rest = { exclude: [], preserve: [], parents: false, optional: false } as const;
  return { verb: 'copy', from, paths: ['x'], to: '/x', position, ...rest };
}
function packages(...names: string[]): PackagesStep {
  return { verb: 'packages', packages: names, recommends: false, position };
}

describe('questionsOf', () => {
  it('asks for bases, images copied from, files and refs, each once', () => {
    const git = 'https://x.example/r.git';
    const asked = questionsOf([
      plan(
        stage('a', { kind: 'image', reference: 'debian' }, copy({ kind: 'image', reference: 'x.example/tool:2' })),
        stage(
          'b',
          { kind: 'image', reference: 'debian:latest' },
          fetch({ kind: 'http', url: 'https://x.example/f' }),
          fetch({ kind: 'git', url: git, ref: 'main' }),
          fetch({ kind: 'git', url: git }),
        ),
        stage('c', {
          kind: 'bootstrap',
          distribution: 'debian',
          suite: 'bookworm',
          variant: 'minbase',
          security: false,
          include: ['b', 'a', 'b'],
        }),
      ),
    ]);

    expect(asked.map(({ kind, key }) => `${kind} ${key}`)).toEqual([
      'images docker.io/library/debian:latest',
      'images x.example/tool:2',
      'urls https://x.example/f',
      `git ${git}#main`,
      `git ${git}#HEAD`,
      'bootstraps debian/bookworm linux/amd64 variant=minbase security=false include=a,b',
    ]);
  });

  it('does not ask for what names its answer itself', () => {
    const asked = questionsOf([
      plan(
        stage('a', { kind: 'image', reference: `x.example/b:1@sha256:${'0'.repeat(64)}` }, copy({ kind: 'context' })),
        stage('b', { kind: 'stage', stage: 'a' }, fetch({ kind: 'http', url: 'https://x.example/f' }, 'sha256:00')),
        stage('c', { kind: 'scratch' }, fetch({ kind: 'git', url: 'https://x.example/r.git', ref: commit })),
        stage('d', { kind: 'scratch' }, fetch({ kind: 'git', url: 'https://x.example/r.git', ref: 'v1' }, commit)),
      ),
    ]);

    expect(asked).toEqual([]);
  });
});

describe('planBefore', () => {
  it('keeps what leads to the step, and nothing else', () => {
    const whole = plan(
      stage('unrelated', { kind: 'scratch' }),
      stage('tools', { kind: 'scratch' }, packages('gcc')),
      stage('base', { kind: 'scratch' }),
      stage('late', { kind: 'scratch' }),
      stage(
        'app',
        { kind: 'stage', stage: 'base' },
        copy({ kind: 'stage', stage: 'tools' }),
        { verb: 'test', command: { kind: 'script', script: 'x' }, env: {}, args: {}, mounts: [], position },
        packages('curl'),
        copy({ kind: 'stage', stage: 'late' }),
      ),
    );
    const [, question] = packagesQuestionsOf([whole]);
    if (question === undefined) throw new TypeError('no question');

    const before = planBefore(question);

    expect(before.targets).toEqual(['app']);
    expect(before.stages.map(({ name, steps }) => `${name} ${steps.map(({ verb }) => verb).join(' ')}`.trim())).toEqual(
      ['tools packages', 'base', 'app copy'],
    );
  });
});
