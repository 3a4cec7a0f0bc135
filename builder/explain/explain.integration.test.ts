import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { missing } from '../../test/requirements.ts';
import { openTestWorkshop, type TestWorkshop } from '../../test/workshop.ts';
import { traceName } from '../engine/build-trace.ts';
import { type ExplainedStep, explainBuild } from './explain.ts';

let bench: TestWorkshop;

async function explained(): Promise<Record<string, ExplainedStep>> {
  const name = traceName(path.join(bench.context, 'Buildfile'), bench.context);
  const build = await explainBuild(bench.workshop.records, name);
  return Object.fromEntries((build?.steps ?? []).map((step) => [step.title.replace(/^\[.*?\] /, ''), step]));
}

const project = (run = 'cat /site/a') => `
  from = "busybox"
  steps = [{ workdir = "/x" }, { copy = "site", to = "/site/" }, { run = "${run}", env = { MODE = "fast" } }]
`;

describe.skipIf(missing('root', 'overlay', 'busybox'))('explainBuild', () => {
  beforeEach(async () => {
    bench = await openTestWorkshop();
    await bench.put({ 'site/a': 'one', 'site/b': 'same', 'site/old': 'x' });
  });
  afterEach(() => bench[Symbol.asyncDispose]());

  it('knows nothing of what was never built', async () => {
    expect(await explained()).toEqual({});
  });

  it('says that everything is new, then that nothing changed', async () => {
    await bench.build(project());
    const first = await explained();
    await bench.build(project());
    const second = await explained();

    expect(Object.values(first).map(({ outcome, reason }) => [outcome, reason.kind])).toEqual([
      ['miss', 'first'],
      ['miss', 'first'],
      ['miss', 'first'],
    ]);
    expect(Object.values(second).map(({ outcome, reason }) => [outcome, reason.kind])).toEqual([
      ['hit', 'unchanged'],
      ['hit', 'unchanged'],
      ['hit', 'unchanged'],
    ]);
  });

  it('names the files that changed, came and went, and what that did to the steps after', async () => {
    await bench.build(project());
    await bench.put({ 'site/a': 'two', 'site/new': 'n' });
    const { rm } = await import('node:fs/promises');
    await rm(path.join(bench.context, 'site/old'));
    await bench.build(project());

    const { 'COPY site /site/': copy, 'RUN cat /site/a': run, 'WORKDIR /x': workdir } = await explained();
    expect(workdir?.outcome).toBe('hit');
    expect(copy?.reason).toMatchObject({
      kind: 'changed',
      changes: [
        {
          input: 'files',
          part: 'a',
          before: expect.stringMatching(/^sha256:/),
          after: expect.stringMatching(/^sha256:/),
        },
        { input: 'files', part: 'new', after: expect.stringMatching(/^sha256:/) },
        { input: 'files', part: 'old', before: expect.stringMatching(/^sha256:/) },
      ],
    });
    expect(run?.reason).toMatchObject({ kind: 'changed', changes: [{ input: 'parent' }] });
  });

  it('names a changed command and a changed variable', async () => {
    await bench.build(project());
    await bench.build(project('cat /site/b').replace('fast', 'slow'));

    const { 'RUN cat /site/b': run } = await explained();
    expect(run?.reason).toMatchObject({
      kind: 'changed',
      changes: [
        { input: 'argv', before: expect.stringContaining('/site/a'), after: expect.stringContaining('/site/b') },
        { input: 'env', part: 'MODE', before: 'fast', after: 'slow' },
      ],
    });
  });

  it('tells a forced step and a failed one from a changed one', async () => {
    await bench.build(project());
    await bench.build(project(), { noCache: true });
    const forced = await explained();
    await expect(bench.build(project('exit 1'))).rejects.toThrow();
    const failed = await explained();
    await expect(bench.build(project('exit 1'))).rejects.toThrow();
    const again = await explained();

    expect(forced['COPY site /site/']?.reason).toEqual({ kind: 'forced' });
    expect(failed['RUN exit 1']).toMatchObject({ outcome: 'failed', reason: { kind: 'changed' } });
    expect(again['RUN exit 1']).toMatchObject({ outcome: 'failed', reason: { kind: 'no-result' } });
  });
});
