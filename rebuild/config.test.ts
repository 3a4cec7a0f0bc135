import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { BuildfileError } from '../builder/index.ts';
import { parseConfig, tagOf } from './config.ts';

const full = `
[images.base]
tag = "localhost:5000/base:1"
context = "base"
file = "files/Buildfile"
target = "small"
args = { VERSION = "2" }

[images.app]
tag = "example/app"
context = "."
`;

function problemsIn(text: string): string {
  try {
    parseConfig(text, 'kiln.toml', '/project');
  } catch (error) {
    if (error instanceof BuildfileError) return `${error.code}\n${error.message}`;
    throw error;
  }
  throw new Error('there are no problems');
}

describe('parseConfig', () => {
  it('reads images in the order of the file, paths relative to it', () => {
    const { images } = parseConfig(full, 'kiln.toml', '/project');

    expect(images).toMatchObject([
      {
        name: 'base',
        contextFolder: '/project/base',
        file: '/project/files/Buildfile',
        target: 'small',
        args: new Map([['VERSION', '2']]),
      },
      { name: 'app', contextFolder: '/project', file: undefined, target: undefined, args: new Map() },
    ]);
    expect(images.map(tagOf)).toEqual(['localhost:5000/base:1', 'docker.io/example/app:latest']);
  });

  it('tells all problems at once, each with its place', () => {
    const text = `[images.base]
tag = "localhost:5000/Base:1"
contxt = "base"

[images."an app"]
tag = "localhost:5000/app:1"
context = 7
args = { "1X" = "a", N = 2 }

[images.pinned]
tag = "localhost:5000/app@sha256:${'0'.repeat(64)}"
context = ""
`;

    expect(problemsIn(text)).toBe(`REBUILD_INVALID
kiln.toml:1:9: \`context\` is missing
  1 | [images.base]
    |         ^^^^
kiln.toml:2:7: "localhost:5000/Base:1" is not an image reference: "Base" is not a repository name
  2 | tag = "localhost:5000/Base:1"
    |       ^^^^^^^^^^^^^^^^^^^^^^^
kiln.toml:3:1: unknown key \`contxt\`
  3 | contxt = "base"
    | ^^^^^^
  did you mean \`context\`?
kiln.toml:5:9: \`an app\` cannot be the name of an image here; start with a letter, go on with letters, digits, _, . and -
  5 | [images."an app"]
    |         ^^^^^^^^
kiln.toml:7:11: \`context\` is an integer; expected a string
  7 | context = 7
    |           ^
kiln.toml:8:10: \`1X\` cannot be the name of an argument; use letters, digits and _
  8 | args = { "1X" = "a", N = 2 }
    |          ^^^^
kiln.toml:8:26: \`N\` is an integer; expected a string
  8 | args = { "1X" = "a", N = 2 }
    |                          ^
kiln.toml:11:7: \`localhost:5000/app@sha256:${'0'.repeat(53)}…\` has a digest, which cannot be chosen; give NAME:TAG
  11 | tag = "localhost:5000/app@sha256:${'0'.repeat(64)}"
     |       ^${'^'.repeat(`"localhost:5000/app@sha256:${'0'.repeat(64)}`.length)}
kiln.toml:12:11: this text is empty
  12 | context = ""
     |           ^^`);
  });

  it('refuses two images under one name, however it is written', () => {
    const text = `
[images.a]
tag = "app"
context = "a"
[images.b]
tag = "docker.io/library/app:latest"
context = "b"
`;

    expect(problemsIn(text)).toBe(`REBUILD_INVALID
kiln.toml:6:7: \`docker.io/library/app:latest\` is already the tag of \`a\`
  6 | tag = "docker.io/library/app:latest"
    |       ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^`);
  });

  it.each([
    ['# none', 'REBUILD_INVALID\nkiln.toml:1:1: `images` is missing\n  1 | # none\n    | ^'],
    [
      '[images]',
      'REBUILD_INVALID\nkiln.toml:1:2: there are no images; write [images.NAME]\n  1 | [images]\n    |  ^^^^^^',
    ],
    ['images = [', 'REBUILD_INVALID\nkiln.toml:1:10: this array is not closed\n  1 | images = [\n    |          ^'],
  ])('says what is missing in %j', (text, expected) => {
    expect(problemsIn(text)).toBe(expected);
  });

  it('throws nothing but problems, whatever the text', () => {
    fc.assert(
      fc.property(fc.string({ unit: fc.constantFrom(...'[]{}="\'.,#\n abimagestcontex1:@') }), (text) => {
        expect(() => {
          try {
            parseConfig(text, 'kiln.toml', '/project');
          } catch (error) {
            if (!(error instanceof BuildfileError)) throw error;
          }
        }).not.toThrow();
      }),
    );
  });
});
