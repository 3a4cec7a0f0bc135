import path from 'node:path';
import { compilePattern, type PathPattern } from './patterns.ts';

/** What of a context is left out. Paths are relative to the context, `/`-separated, without a leading `./`. */
export interface IgnoreRules {
  readonly isIgnored: (path: string) => boolean;
  /** False when the directory need not be read: it is ignored, and so is all below it. */
  readonly mayContainIncluded: (directory: string) => boolean;
  /** The pattern, as written, that drops a path; undefined when none does. */
  readonly droppedBy?: (path: string) => string | undefined;
}

interface Rule {
  readonly written: string;
  readonly pattern: PathPattern;
  readonly includes: boolean;
}

/**
 * Parses an ignore file by the rules of `.dockerignore`: one pattern per line, `#` begins a comment line, `!` takes
 * back in; the last match wins. A pattern that matches a directory matches all below it.
 * @throws ToolError PATTERN_INVALID
 */
export function parseIgnoreFile(text: string): IgnoreRules {
  const lines = text.replace(/^\ufeff/, '').split(/\r?\n/);
  return ignoreRules(lines.filter((line) => !line.startsWith('#')));
}

/**
 * The same rules for patterns that stand in a list, where `#` is a character like others.
 * @throws ToolError PATTERN_INVALID
 */
export function ignoreRules(patterns: readonly string[]): IgnoreRules {
  const rules = patterns.flatMap(parsePattern);
  const isIgnored = (file: string): boolean => lastMatch(rules, file)?.includes === false;
  return {
    isIgnored,
    mayContainIncluded: (directory) => {
      if (directory === '' || !isIgnored(directory)) return true;
      return rules.some((rule) => rule.includes && rule.pattern.mayMatchBelow(directory));
    },
    droppedBy: (file) => {
      const last = lastMatch(rules, file);
      return last?.includes === false ? last.written : undefined;
    },
  };
}

function lastMatch(rules: readonly Rule[], file: string): Rule | undefined {
  return rules.findLast((rule) => rule.pattern.matchesPathOrParent(file));
}

function parsePattern(line: string): Rule[] {
  const trimmed = line.trim();
  const includes = trimmed.startsWith('!');
  const written = includes ? trimmed.slice(1).trim() : trimmed;
  if (written === '') return [];
  const clean = path.posix
    .normalize(written)
    .replace(/(?<=.)\/$/, '')
    .replace(/^\/(?=.)/, '');
  return [{ written, pattern: compilePattern(clean), includes }];
}
