import { type Finding, formatProblems, lintRules } from '../builder/index.ts';
import { harmlessLine, harmlessText } from './terminal-text.ts';

/** Each with its place, its line and a caret, as problems of a Buildfile are shown. */
export function findingsAsText(findings: readonly Finding[], texts: ReadonlyMap<string, string>): string {
  if (findings.length === 0) return '';
  const shown = findings.map(({ rule, severity, message, position }) => ({
    code: rule,
    message: `${severity}: ${message} [${rule}]`,
    position,
  }));
  return `${harmlessText(formatProblems(shown, texts))}\n`;
}

export function fixedAsText(fixed: readonly Finding[]): string {
  return fixed
    .map(
      ({ rule, message, position: { file, line, column } }) =>
        `${harmlessLine(`${file}:${line}:${column}: fixed: ${message} [${rule}]`)}\n`,
    )
    .join('');
}

/** `kiln: 2 warnings, 1 note; --fix puts 1 right`. */
export function summaryOf(findings: readonly Finding[], isFixed: boolean): string {
  const counts = (['error', 'warning', 'note'] as const).flatMap((severity) => {
    const count = findings.filter((finding) => finding.severity === severity).length;
    return count === 0 ? [] : [`${count} ${severity}${count === 1 ? '' : 's'}`];
  });
  const fixable = findings.filter(({ fix }) => fix.length > 0).length;
  const rest = fixable === 0 || isFixed ? '' : `; --fix puts ${fixable} right`;
  const why = counts.length === 0 ? '' : '; docs/lint-rules.md says why';
  return `kiln: ${counts.length === 0 ? 'nothing to complain about' : counts.join(', ')}${rest}${why}\n`;
}

/** One object on one line. */
export function findingsAsJson(findings: readonly Finding[], fixed: readonly Finding[]): string {
  return `${JSON.stringify({ findings: findings.map(asJson), fixed: fixed.map(asJson) })}\n`;
}

/** Where a rule is explained. */
export function helpOf(rule: string): string {
  return `docs/lint-rules.md#${rule}`;
}

function asJson({ rule, severity, message, position, end, fix }: Finding): object {
  return {
    rule,
    severity,
    message,
    reason: lintRules.find(({ name }) => name === rule)?.why,
    help: helpOf(rule),
    position,
    end: { line: end.line, column: end.column },
    fixable: fix.length > 0,
  };
}
