import path from 'node:path';
import type { FromContent } from '../buildfile/buildfile-schema.ts';
import { checkDistribution, checkReference, checkSuite } from '../buildfile/formats.ts';
import { type Problem, quoted, suggest } from '../buildfile/problems.ts';
import type { TomlDocument, TomlPath } from '../buildfile/toml.ts';
import type { BaseSource, CopySource } from './plan.ts';

/** What a name in a Buildfile may mean. */
export interface SourceContext {
  readonly document: TomlDocument;
  readonly stages: ReadonlySet<string>;
  readonly baseFolder: string;
  readonly report: (problem: Problem) => void;
}

/** What a stage starts from; undefined when it is wrong, which is reported. */
export function baseSource(from: FromContent, at: TomlPath, context: SourceContext): BaseSource | undefined {
  if (typeof from !== 'string') {
    const { bootstrap, suite, security = true, variant = 'minbase', include = [] } = from;
    if (bootstrap === undefined || suite === undefined) return undefined;
    return { kind: 'bootstrap', distribution: bootstrap, suite, variant, security, include };
  }
  if (context.stages.has(from)) return { kind: 'stage', stage: from };
  if (from === 'scratch') return { kind: 'scratch' };
  if (from.startsWith('bootstrap:')) return bootstrapSource(from.slice('bootstrap:'.length), at, context);
  if (from.startsWith('oci:')) return layoutSource(from.slice('oci:'.length), at, context);
  const mistyped = mistypedStage(from, context.stages, 'base');
  return mistyped === undefined ? imageSource(from, at, context) : unknownStage(from, mistyped, at, context);
}

/** What a `copy` takes from; undefined when it is wrong, which is reported. */
export function copySource(from: string | undefined, at: TomlPath, context: SourceContext): CopySource | undefined {
  if (from === undefined) return { kind: 'context' };
  if (context.stages.has(from)) return { kind: 'stage', stage: from };
  if (from === 'scratch') return badValue('scratch is empty; there is nothing to copy from it', at, context);
  if (/^(?:oci|bootstrap):/.test(from)) {
    const message = `copying from ${quoted(from)} comes in a later version of Kiln; name a stage that starts from it`;
    context.report({ code: 'BUILDFILE_NOT_YET', message, position: context.document.valuePosition(at) });
    return undefined;
  }
  const mistyped = mistypedStage(from, context.stages, 'copy');
  return mistyped === undefined ? imageSource(from, at, context) : unknownStage(from, mistyped, at, context);
}

function bootstrapSource(text: string, at: TomlPath, context: SourceContext): BaseSource | undefined {
  const [distribution = '', suite = '', ...more] = text.split('/');
  if (suite === '' || more.length > 0)
    return badValue('a bootstrap is written bootstrap:debian/SUITE, such as bootstrap:debian/bookworm', at, context);
  const complaint = checkDistribution(distribution) ?? checkSuite(suite);
  if (complaint !== undefined) return badValue(complaint, at, context);
  return { kind: 'bootstrap', distribution, suite, variant: 'minbase', security: true, include: [] };
}

/** `PATH[:NAME]`; the name begins after the first colon. */
function layoutSource(text: string, at: TomlPath, context: SourceContext): BaseSource | undefined {
  const colon = text.indexOf(':');
  const folder = colon === -1 ? text : text.slice(0, colon);
  const name = colon === -1 ? undefined : text.slice(colon + 1);
  if (folder === '' || name === '') return badValue('a layout is written oci:PATH or oci:PATH:NAME', at, context);
  const found = { kind: 'layout', path: path.resolve(context.baseFolder, folder) } as const;
  return name === undefined ? found : { ...found, name };
}

function imageSource(
  reference: string,
  at: TomlPath,
  context: SourceContext,
): { readonly kind: 'image'; readonly reference: string } | undefined {
  const complaint = checkReference(reference);
  return complaint === undefined ? { kind: 'image', reference } : badValue(complaint, at, context);
}

/**
 * The stage that a bare word most likely means. Any bare word can be an image of the hub, so a base that only extends
 * a stage's name, or is extended by it (`node` and `node22`), passes for an image.
 */
function mistypedStage(name: string, stages: ReadonlySet<string>, use: 'base' | 'copy'): string | undefined {
  if (!/^[A-Za-z0-9_-]+$/.test(name)) return undefined;
  const near = suggest(name, stages).suggestion;
  const isExtension = near !== undefined && (near.startsWith(name) || name.startsWith(near));
  return use === 'base' && isExtension ? undefined : near;
}

function unknownStage(name: string, suggestion: string, at: TomlPath, context: SourceContext): undefined {
  const message = `unknown stage ${quoted(name)}; write ${quoted(`${name}:latest`)} when an image is meant`;
  const position = context.document.valuePosition(at);
  context.report({ code: 'BUILDFILE_UNKNOWN_STAGE', message, position, suggestion });
}

function badValue(message: string, at: TomlPath, context: SourceContext): undefined {
  context.report({ code: 'BUILDFILE_BAD_VALUE', message, position: context.document.valuePosition(at) });
}
