import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { planBuildfile } from '../builder/index.ts';
import { type Digest, platformOf, sha256 } from '../core/index.ts';
import { movesOf, recordedSources, sourcesOf } from './sources.ts';

const [one, two, three] = ['1', '2', '3'].map((text) => sha256(text)) as [Digest, Digest, Digest];

function sourcesOfBuildfile(text: string) {
  const platform = platformOf('x64');
  const options = { targets: [], args: new Map(), platform, buildPlatform: platform, baseFolder: '/project' };
  return sourcesOf(planBuildfile(text, 'Buildfile', options));
}

describe('sourcesOf', () => {
  it('finds bases and images copied from, in full and once each, in the stages that the target needs', () => {
    const sources = sourcesOfBuildfile(`
[stages.tools]
from = "golang"
[stages.unused]
from = "never:1"
[stages.app]
from = "r.example/base:1"
steps = [
  { copy = "/bin/x", from = "tools" },
  { copy = "/bin/y", from = "r.example/tool" },
  { copy = "/bin/z", from = "r.example/base:1" },
]`);

    expect(sources.map(({ kind, name }) => `${kind} ${name}`)).toEqual([
      'image docker.io/library/golang:latest',
      'image r.example/base:1',
      'image r.example/tool:latest',
    ]);
  });

  it('joins bootstraps of one suite, since one name is recorded for them', () => {
    const sources = sourcesOfBuildfile(`
[stages.a]
from = "bootstrap:debian/bookworm"
[stages.b]
from = { bootstrap = "debian", suite = "bookworm", include = ["git"] }
steps = [{ copy = "/x", from = "a" }]`);

    expect(sources).toMatchObject([
      { kind: 'bootstrap', name: 'bootstrap:debian/bookworm', roots: [{ include: [] }, { include: ['git'] }] },
    ]);
  });

  it('calls a layout what is recorded of it: not by its path', () => {
    expect(sourcesOfBuildfile('from = "oci:layouts/base:v1"')).toEqual([{ kind: 'layout', name: 'oci:v1' }]);
  });

  it('has nothing for scratch', () => {
    expect(sourcesOfBuildfile('from = "scratch"')).toEqual([]);
  });
});

describe('recordedSources', () => {
  it('reads what Kiln records, without layouts', () => {
    const records = [
      { name: 'oci:v1', digest: two },
      { name: 'r.example/base:1', digest: one },
    ];

    expect(recordedSources({ 'kiln.sources': JSON.stringify(records) })).toEqual([records[1]]);
  });

  it('reads the base that other builders record, under its full name', () => {
    const annotations = {
      'org.opencontainers.image.base.name': 'debian',
      'org.opencontainers.image.base.digest': one,
    };

    expect(recordedSources(annotations)).toEqual([{ name: 'docker.io/library/debian:latest', digest: one }]);
  });

  it.each([
    ['nothing', {}],
    ['text that is no JSON', { 'kiln.sources': '[' }],
    ['something else than a list', { 'kiln.sources': '{}' }],
    ['a source without a digest', { 'kiln.sources': '[{"name":"a"}]' }],
    ['a source without a name', { 'kiln.sources': `[{"digest":"${one}"}]` }],
    ['a base name without a digest', { 'org.opencontainers.image.base.name': 'debian' }],
    [
      'a base name that is none',
      { 'org.opencontainers.image.base.name': 'A B', 'org.opencontainers.image.base.digest': one },
    ],
    ['very many sources', { 'kiln.sources': JSON.stringify(Array(2000).fill({ name: 'a', digest: one })) }],
  ])('takes %s as not said', (_, annotations) => {
    expect(recordedSources(annotations)).toBeUndefined();
  });

  it('survives any annotation', () => {
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.json()), (text) => {
        const found = recordedSources({ 'kiln.sources': text }) ?? [];

        expect(found.every(({ name, digest }) => typeof name === 'string' && digest.startsWith('sha'))).toBe(true);
      }),
    );
  });
});

describe('movesOf', () => {
  const digests = (...list: readonly Digest[]) => ({ kind: 'digests', digests: list }) as const;

  it('sees that a source stayed', () => {
    expect(movesOf('base', [one], digests(one))).toEqual([]);
  });

  it('pairs the old digest with the new one', () => {
    expect(movesOf('base', [one], digests(two))).toEqual([{ source: 'base', from: one, to: two }]);
  });

  it('sees a source that the image was not built from', () => {
    expect(movesOf('base', [], digests(one))).toEqual([{ source: 'base', to: one }]);
  });

  it('sees which of several roots moved', () => {
    expect(movesOf('bootstrap', [one, two], digests(three, one))).toEqual([
      { source: 'bootstrap', from: two, to: three },
    ]);
  });

  it('never moves what is named by its digest', () => {
    expect(movesOf('base', [one], { kind: 'pinned', digest: one })).toEqual([]);
    expect(movesOf('base', [], { kind: 'pinned', digest: one })).toEqual([{ source: 'base', to: one }]);
  });

  it('believes that a source stayed when it cannot be asked for', () => {
    expect(movesOf('bootstrap', [one], { kind: 'unchecked', why: 'no tool' })).toEqual([]);
  });
});
