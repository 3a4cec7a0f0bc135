import { readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { caseFile, goldenCases, makeGolden } from '../../fixtures/buildfiles/golden.ts';
import { BuildfileError } from '../buildfile/problems.ts';
import { planBuildfile } from './make-plan.ts';
import type { PlanOptions } from './plan-options.ts';

const linux = { os: 'linux', architecture: 'amd64' };
const options: PlanOptions = {
  targets: [],
  args: new Map(),
  platform: linux,
  buildPlatform: linux,
  baseFolder: '/context',
};

function problemsOf(make: () => unknown): string[] {
  try {
    make();
  } catch (error) {
    if (error instanceof BuildfileError) return error.problems.map(({ code }) => code);
    throw error;
  }
  return [];
}

describe('golden cases', () => {
  it.each(goldenCases())('%s', async (name) => {
    const { file, text } = await makeGolden(name);

    expect(text).toBe(readFileSync(caseFile(name, file), 'utf8'));
  });
});

it('plans the example', () => {
  const example = readFileSync(path.join(import.meta.dirname, '../../Buildfile.example'), 'utf8');

  const plan = planBuildfile(example, 'Buildfile.example', options);

  expect(plan.stages.at(-1)?.image.cmd).toEqual(['nginx', '-g', 'daemon off;']);
});

describe('a stage name', () => {
  it('wins over an image', () => {
    const plan = planBuildfile('[stages.debian]\nfrom = "scratch"\n[stages.x]\nfrom = "debian"', 'f', options);

    expect(plan.stages.at(-1)?.base).toEqual({ kind: 'stage', stage: 'debian' });
  });

  it('that extends the name of an image does not hide the image', () => {
    const plan = planBuildfile('[stages.node22]\nfrom = "node"\n[stages.x]\nfrom = "node22"', 'f', options);

    expect(plan.stages[0]?.base).toEqual({ kind: 'image', reference: 'node' });
  });
});

describe('hostile files', () => {
  it.each([
    ['steps', `from = "scratch"\n${'[[steps]]\ncopy = "a"\n'.repeat(10_000)}`, 0],
    ['steps on one line', `from = "scratch"\nsteps = [${'{ run = "é😀" },'.repeat(10_000)}]`, 0],
    ['wrong steps', `from = "scratch"\nsteps = [${'{ rnu = "😀" },'.repeat(10_000)}]`, 10_000],
    [
      'stages that copy from a name like theirs',
      manyStages((n) => `from = "scratch"\nsteps = [{ copy = "a", from = "stge${n % 10}" }]`),
      3000,
    ],
    [
      'stages in circles',
      manyStages((n) => `from = "stage${(n + 1) % 3000}"\nsteps = [{ copy = "a", from = "stage0" }]`),
      10,
    ],
    [
      'unknown variables',
      `from = "scratch"\nsteps = [${`{ copy = "\${X}" },`.repeat(2000)}]\n[args]\n${argsOf((n) => `A${n} = "x"`)}`,
      2000,
    ],
    [
      'arguments that double',
      `from = "scratch"\n[args]\nA0 = "xx"\n${argsOf((n) => `A${n + 1} = "\${A${n}}\${A${n}}"`)}`,
      1,
    ],
  ])(
    'with thousands of %s are answered soon',
    (_title, text, count) => {
      expect(problemsOf(() => planBuildfile(text, 'f', options))).toHaveLength(count);
    },
    60_000,
  );

  it('cannot make a plan that fills the memory', () => {
    const steps = `{ copy = "\${A}" },`.repeat(5000);
    const text = `from = "scratch"\nsteps = [${steps}]\n[args]\nA = "${'x'.repeat(10_000)}"`;

    expect(problemsOf(() => planBuildfile(text, 'f', options))).toContain('BUILDFILE_BAD_VALUE');
  });
});

function manyStages(body: (n: number) => string): string {
  return Array.from({ length: 3000 }, (_, n) => `[stages.stage${n}]\n${body(n)}\n`).join('');
}

function argsOf(line: (n: number) => string): string {
  return Array.from({ length: 1000 }, (_, n) => line(n)).join('\n');
}
