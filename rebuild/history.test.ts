import { describe, expect, it } from 'vitest';
import { sha256 } from '../core/index.ts';
import { RebuildHistory } from './history.ts';
import type { Outcome, Rebuild } from './rebuild.ts';

const tag = 'r.example/app:1';
const sources = [{ name: 'r.example/base:1', digest: sha256('base') }];
const pushed: Outcome = { kind: 'pushed', digest: sha256('app') };
const failed: Outcome = { kind: 'failed', trouble: { code: 'STEP_FAILED', message: 'no' } };

/** Records in memory, as JSON like those on disk. */
function openHistory(written = new Map<string, string>()) {
  return new RebuildHistory({
    read: async (kind, key) => JSON.parse(written.get(`${kind} ${key}`) ?? 'null') ?? undefined,
    write: async (kind, key, value) => void written.set(`${kind} ${key}`, JSON.stringify(value)),
  });
}

function rebuild(outcome: Outcome, startedAtMs = 0): Rebuild {
  return { image: 'app', tag, startedAtMs, durationMs: 1, reason: 'never built', moved: [], sources, outcome };
}

describe('RebuildHistory', () => {
  it('keeps rebuilds in their order, for each image its own', async () => {
    const history = openHistory();
    await history.add(rebuild(pushed, 1));
    await history.add(rebuild(failed, 2));

    expect(await history.of(tag)).toMatchObject([{ startedAtMs: 1 }, { startedAtMs: 2 }]);
    expect(await history.of('r.example/other:1')).toEqual([]);
  });

  it('knows the last result, past failures since', async () => {
    const history = openHistory();
    await history.add(rebuild({ kind: 'unchanged', digest: sha256('first') }));
    await history.add(rebuild(pushed));
    await history.add(rebuild(failed));

    expect(await history.lastResult(tag)).toEqual({ digest: sha256('app'), sources });
  });

  it('forgets the oldest of very many', async () => {
    const history = openHistory();
    for (let atMs = 0; atMs < 103; atMs++) await history.add(rebuild(failed, atMs));

    const kept = await history.of(tag);

    expect(kept).toHaveLength(100);
    expect(kept[0]).toMatchObject({ startedAtMs: 3 });
  });

  it.each([
    ['nothing', undefined],
    ['a list', []],
    ['something else', { rebuilds: 1 }],
    ['rebuilds that are none', { rebuilds: [1, {}, { outcome: {} }, { outcome: { digest: 'x' }, sources: [] }] }],
  ])('takes %s in the place of its record as no result', async (_, record) => {
    const history = new RebuildHistory({ read: async () => record, write: async () => {} });

    expect(await history.lastResult(tag)).toBeUndefined();
  });
});
