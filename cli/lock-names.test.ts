import { describe, expect, it } from 'vitest';
import type { PackagesQuestion, Question } from '../builder/index.ts';
import { parseReference } from '../core/index.ts';
import { questionsNamed } from './lock-names.ts';

const platform = { os: 'linux', architecture: 'amd64' };
const image: Question = {
  kind: 'images',
  key: 'docker.io/library/debian:bookworm',
  reference: parseReference('debian:bookworm'),
  platform,
};
const url: Question = { kind: 'urls', key: 'https://x.example/f' };
const git: Question = { kind: 'git', key: 'https://x.example/r.git#main', url: 'https://x.example/r.git', ref: 'main' };
const root: Question = {
  kind: 'bootstraps',
  key: 'debian/bookworm linux/amd64 variant=minbase security=true',
  source: {
    kind: 'bootstrap',
    distribution: 'debian',
    suite: 'bookworm',
    variant: 'minbase',
    security: true,
    include: [],
  },
  platform,
};
const step = {
  step: { verb: 'packages', packages: ['curl=7.88', 'nginx'] },
} as unknown as PackagesQuestion;
const all = [image, url, git, root, step];

describe('questionsNamed', () => {
  it.each([
    [[], all],
    [['debian:bookworm'], [image]],
    [['docker.io/library/debian:bookworm'], [image]],
    [
      ['images', 'urls'],
      [image, url],
    ],
    [['https://x.example/f'], [url]],
    [['https://x.example/r.git'], [git]],
    [['https://x.example/r.git#main'], [git]],
    [['debian/bookworm'], [root]],
    [['bootstrap:debian/bookworm'], [root]],
    [
      ['bootstraps', 'packages'],
      [root, step],
    ],
    [['curl'], [step]],
  ])('means by %j what it should', (names, expected) => {
    expect(all.filter(questionsNamed(names, all))).toEqual(expected);
  });

  it.each([
    ['debian:bookwrom', 'did you mean'],
    ['nothing-like-that', 'it asks for'],
  ])('refuses %s, and says what there is', (name, hint) => {
    expect(() => questionsNamed(['images', name], all)).toThrow(
      expect.objectContaining({ code: 'USAGE_LOCK_NAME', hint: expect.stringContaining(hint) }),
    );
  });
});
