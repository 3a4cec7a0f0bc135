import { expect, it } from 'vitest';
import { dockerfileProblem } from './dockerfile.ts';

it.each([
  ['FROM debian\nRUN x', 1],
  ['\ufefffrom debian', 1],
  ['# a comment\r\n\r\nARG A=1\r\nFROM $A', 3],
  ['# syntax=docker/dockerfile:1\nCOPY . .', 1],
  ['# escape=`\n# more\nFROM x', 3],
])('knows %j', (text, line) => {
  expect(dockerfileProblem(text, 'f')).toMatchObject({ code: 'BUILDFILE_DOCKERFILE', position: { file: 'f', line } });
});

it.each(['', 'from = "debian"', 'FROM = x', '# FROM debian\n[args', 'RUN x\nFROM y', 'from'])(
  'takes %j for something else',
  (text) => {
    expect(dockerfileProblem(text, 'f')).toBeUndefined();
  },
);
