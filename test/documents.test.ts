import { existsSync, globSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';

const root = path.dirname(import.meta.dirname);
const documents = globSync(['*.md', 'docs/**/*.md'], { cwd: root });

describe.each(documents)('%s', (document) => {
  const text = readFileSync(path.join(root, document), 'utf8');

  it('links only to files that exist', () => {
    const links = [...text.matchAll(/\]\(([^)#\s]+)(?:#[^)]*)?\)/g)].map(([, link = '']) => link);
    const local = links.filter((link) => !/^[a-z]+:/.test(link));

    const broken = local.filter((link) => !existsSync(path.resolve(root, path.dirname(document), link)));

    expect(broken).toEqual([]);
  });
});

describe('README.md', () => {
  const text = readFileSync(path.join(root, 'README.md'), 'utf8');

  it('has at most 150 lines', () => {
    expect(text.split('\n').length - 1).toBeLessThanOrEqual(150);
  });

  it('names the two set-up commands, whose scripts exist', () => {
    const manifest: { scripts: Record<string, string> } = JSON.parse(
      readFileSync(path.join(root, 'package.json'), 'utf8'),
    );

    expect([...text.matchAll(/^npm ci && npm (?:run )?(\w+)/gm)].map(([, script]) => script)).toEqual([
      'quickstart',
      'test',
    ]);
    expect(Object.keys(manifest.scripts)).toEqual(expect.arrayContaining(['quickstart', 'test', 'check']));
  });

  it('has no place left that was to be filled in', () => {
    expect(text).not.toMatch(/<!-- lead:/);
  });
});
