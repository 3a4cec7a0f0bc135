import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { BuildfileError } from '../builder/buildfile/problems.ts';
import { StepFailedError } from '../builder/engine/errors.ts';
import { ToolError } from '../core/index.ts';
import { reportError, reportErrorAsJson } from './error-report.ts';

const quietly = { debug: false };

describe('reportError', () => {
  it('prints the sentence and the hint', async () => {
    const error = new ToolError('IMAGE_NOT_FOUND', 'there is no image "x"', { hint: 'pull it' });

    expect(await reportError(error, quietly)).toBe('kiln: there is no image "x"\n  hint: pull it\n');
  });

  it('makes control characters of strangers harmless', async () => {
    const error = new ToolError('REGISTRY_DENIED', 'no \x1b[2J\x1b]0;owned\x07way\rkiln: all is well\u202e');

    expect(await reportError(error, quietly)).toBe('kiln: no way\\x0dkiln: all is well\\u202e\n');
  });

  it('shows where a step failed, its command, its exit status and what it printed last', async () => {
    await using folder = await temporaryFolder();
    const file = path.join(folder.path, 'Buildfile');
    await writeFile(file, 'from = "debian"\n\n[[steps]]\nrun = "false"\n\n[image]\ncmd = ["x"]\n');
    const error = new StepFailedError({
      title: '[app 1/1] RUN false',
      position: { file, line: 4, column: 1 },
      command: 'echo one\nfalse',
      exitCode: 1,
      output: Buffer.from('one\n\x1b[31mred\x1b[0m\nprogress 1%\rprogress 100%\n'),
    });

    expect(
      (await reportError(error, quietly)).replaceAll(folder.path, '/ctx'),
    ).toBe(`kiln: [app 1/1] RUN false ended with exit code 1

  /ctx/Buildfile:4:1
      2 | 
      3 | [[steps]]
  >>> 4 | run = "false"
      5 | 
      6 | [image]

  command:
    echo one
    false
  exit status: 1
  last lines of its output:
    one
    red
    progress 100%
`);
  });

  it('leaves the excerpt out when the file is gone', async () => {
    const position = { file: '/nowhere/Buildfile', line: 4, column: 1 };
    const error = Object.assign(new ToolError('COPY_NOT_FOUND', 'no such file'), { position });

    expect(await reportError(error, quietly)).toBe('kiln: no such file\n\n  /nowhere/Buildfile:4:1\n');
  });

  it('prints all problems of a Buildfile', async () => {
    const position = { file: 'Buildfile', line: 2, column: 1 };
    const error = new BuildfileError(
      [
        { code: 'BUILDFILE_KEY_UNKNOWN', message: 'unknown key `stpes`', position, suggestion: 'steps' },
        { code: 'BUILDFILE_TYPE', message: 'from is a string', position: { ...position, line: 1 } },
      ],
      new Map([['Buildfile', 'from = 1\nstpes = 2\n']]),
    );

    const report = await reportError(error, quietly);

    expect(report).toMatch(/^kiln: there are 2 problems\nBuildfile:1:1: from is a string\n/);
    expect(report).toContain('Buildfile:2:1: unknown key `stpes`\n');
    expect(report).toContain('did you mean `steps`?');
  });

  it('shows the stack only when asked', async () => {
    const error = new ToolError('STEP_FAILED', 'x', { cause: new Error('the cause') });

    expect(await reportError(error, quietly)).not.toContain('at ');
    expect(await reportError(error, { debug: true })).toMatch(/\n {4}at [\s\S]*caused by Error: the cause\n/);
  });

  it('says of an error without a code that it is a mistake of kiln', async () => {
    expect(await reportError(new TypeError('x is undefined'), quietly)).toMatch(
      /^kiln: x is undefined\n {2}hint: .*KILN_DEBUG=1/,
    );
  });
});

describe('reportErrorAsJson', () => {
  it('is one object on one line', () => {
    const error = new ToolError('IMAGE_NOT_FOUND', 'there is\nno image', { hint: 'pull it' });

    const line = reportErrorAsJson(error);

    expect(line.indexOf('\n')).toBe(line.length - 1);
    expect(JSON.parse(line)).toEqual({
      error: { code: 'IMAGE_NOT_FOUND', message: 'there is\nno image', hint: 'pull it' },
    });
  });

  it('carries what a failed step left', () => {
    const position = { file: 'Buildfile', line: 4, column: 1 };
    const error = new StepFailedError({
      title: 't',
      position,
      command: 'false',
      exitCode: 3,
      output: Buffer.from('a\nb\n'),
    });

    expect(JSON.parse(reportErrorAsJson(error)).error).toMatchObject({
      code: 'STEP_FAILED',
      position,
      command: 'false',
      exitCode: 3,
      output: ['a', 'b'],
    });
  });

  it('has a code for what is none of ours', () => {
    expect(JSON.parse(reportErrorAsJson(new Error('x')))).toEqual({ error: { code: 'UNEXPECTED', message: 'x' } });
  });
});

async function temporaryFolder(): Promise<AsyncDisposable & { readonly path: string }> {
  const folder = await mkdtemp(path.join(os.tmpdir(), 'kiln-report-'));
  return { path: folder, [Symbol.asyncDispose]: () => rm(folder, { recursive: true }) };
}
