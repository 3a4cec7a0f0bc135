import { readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { lintRules } from './rules.ts';

const text = readFileSync(path.join(import.meta.dirname, '../../docs/lint-rules.md'), 'utf8');
const sections = new Map(
  text
    .split(/^## /m)
    .slice(1)
    .map((section) => [section.split('\n', 1)[0] ?? '', section] as const),
);
const names = lintRules.map(({ name }) => name);

describe('docs/lint-rules.md', () => {
  it('has a section for each rule, and for nothing else', () => {
    expect([...sections.keys()].filter((title) => /^[a-z0-9-]+$/.test(title))).toEqual(names);
  });

  it.each(lintRules)(
    'says of $name what it is, why, and how to put it right',
    ({ name, severity, what, why, isFixable }) => {
      const section = (sections.get(name) ?? '').replace(/\s+/g, ' ');

      expect(section).toContain(`*${severity}${isFixable ? ', fixed by --fix' : ''}*`);
      expect(section).toContain(what);
      expect(section).toContain(why);
      expect(section).toContain('**Instead**');
    },
  );
});

describe('lintRules', () => {
  it('have names of one form, each once and in order', () => {
    expect(names).toEqual([...new Set(names)].sort());
    expect(names.filter((name) => !/^[a-z]+(?:-[a-z0-9]+)+$/.test(name))).toEqual([]);
  });
});
