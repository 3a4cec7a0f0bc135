import { globSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { maximumLines, parts, violations } from './architecture-rules.ts';

const root = path.dirname(import.meta.dirname);

describe('the source tree', () => {
  it('keeps to the rules of ARCHITECTURE.md', () => {
    const files = globSync(
      ['{core,registry,runtime,builder,rebuild,cli}/**/*.{ts,c,h}', '{test,bench,fixtures,scripts}/**/*.{ts,mjs}'],
      {
        cwd: root,
      },
    );

    const tree = new Map(files.map((file) => [file, readFileSync(path.join(root, file), 'utf8')]));

    expect(tree.size).toBeGreaterThan(50);
    expect(violations(tree)).toEqual([]);
  });

  it('has a rule for each package the product depends on, and for no other', () => {
    const manifest: { dependencies: Record<string, string> } = JSON.parse(
      readFileSync(path.join(root, 'package.json'), 'utf8'),
    );

    const allowed = Object.values(parts).flatMap((part) => part.packages);

    expect(Object.keys(manifest.dependencies).sort()).toEqual(allowed.sort());
  });
});

describe('violations', () => {
  const cases: readonly (readonly [title: string, file: string, text: string, expected: string])[] = [
    [
      'an import against the direction',
      'core/a.ts',
      "import { b } from '../registry/index.ts';",
      'core/a.ts: core may not import registry',
    ],
    [
      'registry importing runtime',
      'registry/deep/a.ts',
      "export * from '../../runtime/index.ts';",
      'registry/deep/a.ts: registry may not import runtime',
    ],
    [
      'a lazy import against the direction',
      'builder/a.ts',
      "const cli = await import('../cli/index.ts');",
      'builder/a.ts: builder may not import cli',
    ],
    [
      'a part entered past its index',
      'builder/a.ts',
      "import type { Reference } from '../core/reference.ts';",
      'builder/a.ts: enters core through core/reference.ts, not its index.ts',
    ],
    [
      'the product reaching outside its parts',
      'cli/a.ts',
      "import { x } from '../fixtures/bases/busybox-base.ts';",
      'cli/a.ts: imports fixtures/bases/busybox-base.ts, which is no part of the product',
    ],
    [
      'a package in the wrong part',
      'cli/a.ts',
      "import toml from '@iarna/toml/parse-string.js';",
      'cli/a.ts: cli may not import the package @iarna/toml',
    ],
    ['printing', 'runtime/a.ts', "console.log('hello');", 'runtime/a.ts: prints: only cli/ does'],
    ['the environment', 'rebuild/a.ts', 'process.env.HOME', 'rebuild/a.ts: reads the environment: only cli/ does'],
    ['the time', 'core/a.ts', 'const at = new Date();', 'core/a.ts: asks for the time: take a Clock'],
    ['chance', 'core/a.ts', 'Math.random()', 'core/a.ts: is not deterministic: Math.random'],
    [
      'a file that is too long',
      'runtime/native/a.c',
      'int a;\n'.repeat(maximumLines + 1),
      'runtime/native/a.c: has 401 lines, more than 400',
    ],
  ];

  it.each(cases)('finds %s', (_, file, text, expected) => {
    expect(violations(new Map([[file, text]]))).toEqual([expected]);
  });

  it('finds two files that import one package', () => {
    const text = "import axios from 'axios';";

    expect(
      violations(
        new Map([
          ['registry/a.ts', text],
          ['registry/b.ts', text],
        ]),
      ),
    ).toEqual(['registry/a.ts, registry/b.ts: only one file may import the package axios']);
  });

  it('finds the product importing what is for tests', () => {
    const tree = new Map([
      ['cli/a.ts', "import { b } from './b.ts';"],
      ['cli/b.ts', "import { openAccount } from '../test/account.ts';"],
    ]);

    expect(violations(tree)).toEqual(['cli/a.ts: imports cli/b.ts, which is for tests']);
  });

  it.each([
    ['the allowed direction', 'builder/a/b.ts', "import { x } from '../../core/index.ts';"],
    ['comments', 'core/a.ts', "// console.log(Date.now());\n/* import { x } from '../cli/index.ts'; */"],
    ['addresses in strings', 'core/a.ts', "const at = 'https://example.org';"],
    ['strings that look like imports', 'core/a.ts', "const words = ['from', 'import', 'x'];\nreport(at, 'from');"],
    ['a call named from', 'core/a.ts', "const slash = Buffer.from('/');"],
    ['the terminal in cli', 'cli/a.ts', 'console.log(process.env.HOME, Date.now());'],
    ['tests', 'core/a.test.ts', "import { x } from '../test/account.ts';"],
    ['a file as long as may be', 'core/a.ts', 'a;\n'.repeat(maximumLines)],
  ])('lets pass %s', (_, file, text) => {
    expect(violations(new Map([[file, text]]))).toEqual([]);
  });
});
