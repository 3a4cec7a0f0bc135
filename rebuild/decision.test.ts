import { describe, expect, it } from 'vitest';
import { type Digest, parseReference, sha256 } from '../core/index.ts';
import { type DecisionSubject, decide, decideAll, type Observation } from './decision.ts';
import type { CurrentSource, Source } from './sources.ts';

const [app, old, fresh] = ['app', 'old', 'fresh'].map((text) => sha256(text)) as [Digest, Digest, Digest];
const base = 'r.example/base:1';
const trouble = { code: 'REGISTRY_UNAVAILABLE', message: 'the registry is asleep' };

function subject(...sources: readonly string[]): DecisionSubject {
  const list: Source[] = sources.map((name) => ({ kind: 'image', name, reference: parseReference(name) }));
  return { name: 'app', tag: 'r.example/app:1', sources: list };
}

function at(digest: Digest): CurrentSource {
  return { kind: 'digests', digests: [digest] };
}

function observation(more: Partial<Observation> = {}): Observation {
  return {
    built: { digest: app, sources: [{ name: base, digest: old }] },
    current: new Map([[base, at(old)]]),
    ...more,
  };
}

describe('decide', () => {
  it('leaves an image alone whose base is where it was', () => {
    expect(decide(subject(base), observation())).toEqual({
      image: 'app',
      tag: 'r.example/app:1',
      digest: app,
      notes: [],
      action: 'current',
    });
  });

  it('rebuilds an image whose base moved, and says from where to where', () => {
    const decision = decide(subject(base), observation({ current: new Map([[base, at(fresh)]]) }));

    expect(decision).toMatchObject({ action: 'rebuild', moved: [{ source: base, from: old, to: fresh }] });
    expect(decision).toHaveProperty('reason', `base ${base} moved ${old.slice(0, 19)}… → ${fresh.slice(0, 19)}…`);
  });

  it('rebuilds what the registry does not have', () => {
    expect(decide(subject(base), observation({ built: undefined }))).toMatchObject({
      action: 'rebuild',
      reason: 'never built',
    });
  });

  it('rebuilds an image that does not say what it was built from', () => {
    expect(decide(subject(base), observation({ built: { digest: app, sources: undefined } }))).toMatchObject({
      action: 'rebuild',
      reason: 'it does not say what it was built from',
    });
  });

  it('leaves an image alone that says nothing and is built on nothing', () => {
    const alone = observation({ built: { digest: app, sources: undefined }, current: new Map() });

    expect(decide(subject(), alone)).toMatchObject({ action: 'current' });
  });

  it('rebuilds when the Buildfile names another base', () => {
    const other = 'r.example/base:2';

    const decision = decide(subject(other), observation({ current: new Map([[other, at(fresh)]]) }));

    expect(decision).toMatchObject({
      action: 'rebuild',
      reason: `its Buildfile now builds on ${other}; its Buildfile builds on ${base} no longer`,
    });
  });

  it.each([
    ['the image', observation({ built: { kind: 'unknown', trouble } })],
    ['a base', observation({ current: new Map([[base, { kind: 'unknown', trouble }]]) })],
  ])('does not guess when the registry of %s gives no answer', (_, seen) => {
    expect(decide(subject(base), seen)).toMatchObject({ action: 'unknown', trouble });
  });

  it('waits for a base that is about to be rebuilt, whatever its state is now', () => {
    const seen = observation({ current: new Map([[base, { kind: 'unknown', trouble }]]) });

    expect(decide(subject(base), seen, new Set([base]))).toMatchObject({ action: 'follow', upstream: [base] });
  });

  it('rebuilds for another base that moved while one is about to be rebuilt', () => {
    const other = 'r.example/tool:1';
    const seen = observation({
      built: {
        digest: app,
        sources: [
          { name: base, digest: old },
          { name: other, digest: old },
        ],
      },
      current: new Map([
        [base, at(old)],
        [other, at(fresh)],
      ]),
    });

    const decision = decide(subject(base, other), seen, new Set([base]));

    expect(decision).toMatchObject({ action: 'rebuild', moved: [{ source: other }] });
  });

  it('does not rebuild again what came out of the same sources, even when its annotations tell otherwise', () => {
    const seen = observation({
      built: { digest: app, sources: undefined },
      last: { digest: app, sources: [{ name: base, digest: old }] },
    });

    expect(decide(subject(base), seen)).toMatchObject({ action: 'current' });
  });

  it.each([
    ['the image is another one', { digest: fresh, sources: [{ name: base, digest: old }] }],
    ['a source has moved since', { digest: app, sources: [{ name: base, digest: fresh }] }],
    ['it had fewer sources', { digest: app, sources: [] }],
  ])('does not rely on the last rebuild when %s', (_, last) => {
    const seen = observation({ built: { digest: app, sources: undefined }, last });

    expect(decide(subject(base), seen)).toMatchObject({ action: 'rebuild' });
  });

  it('says what it did not check', () => {
    const sources: Source[] = [
      { kind: 'layout', name: 'oci:v1' },
      { kind: 'bootstrap', name: 'bootstrap:debian/bookworm', roots: [] },
    ];
    const seen = observation({
      built: { digest: app, sources: [{ name: 'bootstrap:debian/bookworm', digest: old }] },
      current: new Map([['bootstrap:debian/bookworm', { kind: 'unchecked', why: 'mmdebstrap is missing' }]]),
    });

    expect(decide({ ...subject(), sources }, seen)).toMatchObject({
      action: 'current',
      notes: [
        'oci:v1 is a layout on disk and is not checked',
        'bootstrap:debian/bookworm is not checked: mmdebstrap is missing',
      ],
    });
  });
});

describe('decideAll', () => {
  it('hands on through a chain that its beginning will be rebuilt', () => {
    const chain = ['a', 'b', 'c'].map((name, index, all) => ({
      ...subject(...(index === 0 ? [base] : [`r.example/${all[index - 1]}:1`])),
      name,
      tag: `r.example/${name}:1`,
    }));
    const observationOf = ({ sources }: DecisionSubject): Observation => ({
      built: { digest: app, sources: sources.map(({ name }) => ({ name, digest: old })) },
      current: new Map(sources.map(({ name }) => [name, at(name === base ? fresh : old)])),
    });

    const decisions = decideAll(chain, observationOf);

    expect(decisions.map(({ action }) => action)).toEqual(['rebuild', 'follow', 'follow']);
  });
});
