import type { FromContent } from '../buildfile/buildfile-schema.ts';
import type { Problem } from '../buildfile/problems.ts';
import type { TomlDocument, TomlPath } from '../buildfile/toml.ts';
import type { BaseSource, CopySource } from './plan.ts';
import { type Found, findBase, findCopySource, type SourceNames } from './sources.ts';

/** Where in which Buildfile something is, and what names there mean. */
export interface SourceContext {
  readonly document: TomlDocument;
  readonly names: SourceNames;
  readonly report: (problem: Problem) => void;
}

/** What a stage starts from; undefined when it is wrong, which is reported. */
export function baseSource(from: FromContent, at: TomlPath, context: SourceContext): BaseSource | undefined {
  if (typeof from === 'string') return orReport(findBase(from, context.names), at, context);
  const { bootstrap, suite, security = true, variant = 'minbase', include = [] } = from;
  if (bootstrap === undefined || suite === undefined) return undefined;
  return { kind: 'bootstrap', distribution: bootstrap, suite, variant, security, include };
}

/** What a `copy` or a bind takes from; undefined when it is wrong, which is reported. */
export function copySource(from: string | undefined, at: TomlPath, context: SourceContext): CopySource | undefined {
  return orReport(findCopySource(from, context.names), at, context);
}

/** Reports what a schema cannot find, at the value of a key. */
export function reportValue(message: string, at: TomlPath, context: SourceContext): void {
  context.report({ code: 'BUILDFILE_BAD_VALUE', message, position: context.document.valuePosition(at) });
}

function orReport<T>(found: Found<T>, at: TomlPath, { document, report }: SourceContext): T | undefined {
  if ('source' in found) return found.source;
  report({ ...found.problem, position: document.valuePosition(at) });
  return undefined;
}
