import type { TomlPath } from '../buildfile/toml.ts';
import type { LintFile, Span } from './lint-file.ts';
import type { LintSubject } from './subject.ts';

/** A note says what may well be meant so: notes alone do not make a Buildfile fail. */
export type Severity = 'error' | 'warning' | 'note';

export interface Edit extends Span {
  readonly text: string;
}

/** Where a rule is not kept. */
export interface Breach {
  readonly file: LintFile;
  /** What it is about: a comment that ignores the rule there counts. */
  readonly at: TomlPath;
  readonly span: Span;
  /** One sentence that names the thing and what to do, without a full stop. */
  readonly message: string;
  /** Changes of this file that put it right and change no file of an image; its history may name packages in another order. */
  readonly fix?: readonly Edit[];
}

export interface Rule {
  /** kebab-case. */
  readonly name: string;
  readonly severity: Severity;
  /** What it looks for. */
  readonly what: string;
  /** Why that is bad. */
  readonly why: string;
  readonly isFixable?: boolean;
  check(subject: LintSubject): Iterable<Breach>;
}

/** A breach that is about a value, and underlines all of it. */
export function valueBreach(file: LintFile, at: TomlPath, message: string): Breach {
  return { file, at, span: file.valueSpan(at), message };
}
