import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { IntegrityError, NotFoundError, ToolError } from '../core/index.ts';
import { exitCodeFor, hasExitCode } from './exit-codes.ts';

const root = path.join(import.meta.dirname, '..');

describe('exitCodeFor', () => {
  it.each([
    { error: new ToolError('USAGE_FLAG_UNKNOWN', 'x'), code: 2 },
    { error: new ToolError('BUILDFILE_INVALID', 'x'), code: 2 },
    { error: new ToolError('REFERENCE_INVALID', 'x'), code: 2 },
    { error: new ToolError('STEP_FAILED', 'x'), code: 3 },
    { error: new ToolError('REGISTRY_UNAUTHORIZED', 'x'), code: 4 },
    { error: new NotFoundError('REGISTRY_NOT_FOUND', 'x'), code: 4 },
    { error: new ToolError('PACKAGES_NOT_FOUND', 'x'), code: 2 },
    { error: new ToolError('PACKAGES_NAME_INVALID', 'x'), code: 2 },
    { error: new ToolError('PACKAGES_ARCHIVE', 'x'), code: 4 },
    { error: new ToolError('ENVIRONMENT_SUBORDINATE_IDS', 'x'), code: 5 },
    { error: new ToolError('LAUNCHER_MISSING', 'x'), code: 5 },
    { error: new IntegrityError('BLOB_DIGEST_MISMATCH', 'x'), code: 6 },
    { error: new NotFoundError('BLOB_NOT_FOUND', 'x'), code: 6 },
    { error: new ToolError('MANIFEST_INVALID', 'x'), code: 6 },
    { error: new ToolError('LAYER_INVALID', 'x'), code: 6 },
    { error: new ToolError('LAYER_ID_UNMAPPED', 'x'), code: 5 },
    { error: new ToolError('LAYER_NAME_RESERVED', 'x'), code: 2 },
    { error: new NotFoundError('IMAGE_NOT_FOUND', 'x'), code: 7 },
    { error: new NotFoundError('REFERENCE_NOT_FOUND', 'x'), code: 7 },
    { error: Object.assign(new Error('no space'), { code: 'ENOSPC' }), code: 5 },
    { error: Object.assign(new Error('what'), { code: 'EWHATEVER' }), code: 1 },
    { error: new TypeError('a mistake'), code: 1 },
    { error: 'a string', code: 1 },
  ])('gives $code for $error', ({ error, code }) => {
    expect(exitCodeFor(error)).toBe(code);
  });

  it('knows the area of every code that is thrown anywhere', () => {
    const thrown = /new (?:Tool|NotFound|Integrity)Error\(\s*'([A-Z0-9_]+)'/g;
    const codes = sourceFiles().flatMap((file) =>
      Array.from(readFileSync(file, 'utf8').matchAll(thrown), ([, code]) => code ?? ''),
    );

    expect(codes.length).toBeGreaterThan(20);
    expect([...new Set(codes)].filter((code) => !hasExitCode(code))).toEqual([]);
  });
});

function sourceFiles(): string[] {
  return ['core', 'registry', 'runtime', 'builder', 'rebuild', 'cli'].flatMap((part) =>
    readdirSync(path.join(root, part), { recursive: true, encoding: 'utf8' })
      .filter((name) => name.endsWith('.ts') && !name.endsWith('.test.ts'))
      .map((name) => path.join(root, part, name)),
  );
}
