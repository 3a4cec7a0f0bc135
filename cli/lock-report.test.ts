import { describe, expect, it } from 'vitest';
import type { Move } from '../builder/index.ts';
import { sha256, ToolError } from '../core/index.ts';
import { movesAsJson, outdatedTable, summaryOf, troubleLines, updateTable } from './lock-report.ts';

const [one, two] = [sha256('one'), sha256('two')];
const moves: Move[] = [
  { kind: 'images', key: 'x.example/b:1', from: one, to: two },
  { kind: 'images', key: 'x.example/new:1', to: one, isNew: true },
  { kind: 'urls', key: 'https://x.example/gone', from: one, isUnused: true },
  {
    kind: 'bootstraps',
    key: 'debian/bookworm linux/amd64',
    packages: [
      { name: 'libc6', from: '1', to: '2' },
      { name: 'gone', from: '1' },
      { name: 'fresh', to: '3' },
    ],
  },
  { kind: 'packages', key: 'apt:debian/12 linux/amd64 a on 00', isNew: true, packages: [{ name: 'a', to: '1' }] },
];

describe('outdatedTable', () => {
  it('shows each entry, and below a set its packages, old and new', () => {
    const [short1, short2] = [one, two].map((digest) => digest.slice(0, 19));
    const rows = outdatedTable(moves)
      .trimEnd()
      .split('\n')
      .map((line) => line.trim().split(/ {3,}/));

    expect(rows).toEqual([
      ['ENTRY', 'LOCKED', 'NOW'],
      ['x.example/b:1', short1, short2],
      ['x.example/new:1', 'not locked', short1],
      ['https://x.example/gone', short1, 'not used'],
      ['debian/bookworm linux/amd64', '3 packages'],
      ['libc6', '1', '2'],
      ['gone', '1', 'not needed'],
      ['fresh', 'not there', '3'],
      ['apt:debian/12 linux/amd64 a on 00', 'not locked', '1 package'],
    ]);
  });

  it('is nothing when nothing moved', () => {
    expect(outdatedTable([])).toBe('');
  });
});

describe('updateTable', () => {
  it('shows each change in one cell', () => {
    const lines = updateTable(moves).split('\n');

    expect(lines[0]).toMatch(/^ENTRY {2,}CHANGE$/);
    expect(lines[1]).toBe(`x.example/b:1                       ${one.slice(0, 19)} → ${two.slice(0, 19)}`);
    expect(lines[5]).toBe('  libc6                             1 → 2');
    expect(updateTable([])).toBe('');
  });
});

it('sums up what moved', () => {
  expect(summaryOf(moves)).toBe('2 entries moved, 2 new, 1 dropped, which nothing uses');
  expect(summaryOf(moves.slice(0, 1))).toBe('1 entry moved');
});

it('says what could not be asked for, harmless, and a reason that several share once', () => {
  const troubles = [
    ['x.example/b:1', 'no\n\u001b[31mway to x.example/b:1', 'go round'],
    ['x.example/c:1', 'another'],
    ['x.example/d:1', 'no\n\u001b[31mway to x.example/d:1', 'go round'],
  ].map(([key = '', message = '', hint]) => ({
    kind: 'images' as const,
    key,
    error: new ToolError('REGISTRY_UNREACHABLE', message, { hint }),
  }));

  expect(troubleLines(troubles).split('\n')).toEqual([
    'kiln: x.example/b:1 could not be asked for',
    'kiln: x.example/d:1 could not be asked for',
    '  no',
    '  way to x.example/b:1',
    '  hint: go round',
    'kiln: x.example/c:1 could not be asked for',
    '  another',
    '',
  ]);
});

it('gives scripts digests in full', () => {
  const content = { images: new Map(), urls: new Map(), git: new Map(), packages: new Map(), bootstraps: new Map() };

  const text = movesAsJson('Buildfile.lock', { content, moves: moves.slice(0, 1), troubles: [] }, { written: true });

  expect(JSON.parse(text)).toEqual({
    file: 'Buildfile.lock',
    written: true,
    moves: [{ kind: 'images', key: 'x.example/b:1', from: one, to: two }],
  });
});
