import { quoted, suggest } from '../../buildfile/problems.ts';
import type { Rule } from '../rule.ts';

export const unknownRule: Rule = {
  name: 'unknown-rule',
  severity: 'warning',
  what: 'A comment `# kiln: ignore …` that names no rule.',
  why: 'It ignores nothing.',
  *check({ ignores, ruleNames }) {
    for (const [file, { named }] of ignores) {
      for (const { name, span } of named) {
        if (ruleNames.includes(name)) continue;
        const { suggestion } = suggest(name, ruleNames);
        const hint = suggestion === undefined ? '' : `; did you mean ${quoted(suggestion)}?`;
        yield { file, at: [], span, message: `there is no rule ${quoted(name)}${hint}` };
      }
    }
  },
};
