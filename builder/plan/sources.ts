import path from 'node:path';
import { errorCode } from '../../core/index.ts';
import { checkDistribution, checkReference, checkSuite } from '../buildfile/formats.ts';
import { type Problem, quoted, suggest } from '../buildfile/problems.ts';
import type { BaseSource, CopySource, LayoutSource } from './plan.ts';
import type { NamedContext } from './plan-options.ts';

/** What a name in `from` may mean. */
export interface SourceNames {
  readonly stages: ReadonlySet<string>;
  /** They win over stages and images. */
  readonly contexts: ReadonlyMap<string, NamedContext>;
  /** Paths of layouts are relative to it; absolute. */
  readonly baseFolder: string;
  readonly imageName?: ((name: string) => string) | undefined;
}

/** What is wrong with a name; where it was written is known to the caller. */
export type SourceProblem = Omit<Problem, 'position'>;

export type Found<T> = { readonly source: T } | { readonly problem: SourceProblem };

/** What a stage starts from. */
export function findBase(from: string, names: SourceNames): Found<BaseSource> {
  if (from === 'scratch') return { source: { kind: 'scratch' } };
  const context = names.contexts.get(from);
  if (context?.kind === 'folder')
    return badValue(`${quoted(from)} is a folder (--build-context); a stage cannot start from it, but copy from it`);
  if (context !== undefined) return findContext(from, context);
  if (names.stages.has(from)) return { source: { kind: 'stage', stage: from } };
  if (from.startsWith('bootstrap:')) return findBootstrap(from.slice('bootstrap:'.length));
  if (from.startsWith('oci:')) return findLayout(from.slice('oci:'.length), names.baseFolder);
  return findImage(from, names, 'base');
}

/** What a `copy` or a bind takes from. */
export function findCopySource(from: string | undefined, names: SourceNames): Found<CopySource> {
  if (from === undefined) return { source: { kind: 'context' } };
  if (from === 'scratch') return badValue('scratch is empty; there is nothing to take from it');
  const context = names.contexts.get(from);
  if (context?.kind === 'folder') return { source: { kind: 'folder', name: from, path: context.path } };
  if (context !== undefined) return findContext(from, context);
  if (names.stages.has(from)) return { source: { kind: 'stage', stage: from } };
  if (from.startsWith('bootstrap:'))
    return badValue(
      `nothing is taken from a bootstrap itself; make a stage with from = ${JSON.stringify(from)}, and name it`,
    );
  if (from.startsWith('oci:')) return findLayout(from.slice('oci:'.length), names.baseFolder);
  return findImage(from, names, 'copy');
}

type ImageSource = { readonly kind: 'image'; readonly reference: string };

function findContext(
  name: string,
  context: Exclude<NamedContext, { kind: 'folder' }>,
): Found<ImageSource | LayoutSource> {
  if (context.kind === 'layout') return { source: context };
  const complaint = checkReference(context.reference);
  return complaint === undefined
    ? { source: context }
    : badValue(`--build-context ${name}: ${complaint}; a folder is written ./FOLDER`);
}

function findBootstrap(text: string): Found<BaseSource> {
  const [distribution = '', suite = '', ...more] = text.split('/');
  if (suite === '' || more.length > 0)
    return badValue('a bootstrap is written bootstrap:debian/SUITE, such as bootstrap:debian/bookworm');
  const complaint = checkDistribution(distribution) ?? checkSuite(suite);
  if (complaint !== undefined) return badValue(complaint);
  return { source: { kind: 'bootstrap', distribution, suite, variant: 'minbase', security: true, include: [] } };
}

/** `PATH[:NAME]`; the name begins after the first colon. */
function findLayout(text: string, baseFolder: string): Found<LayoutSource> {
  const colon = text.indexOf(':');
  const folder = colon === -1 ? text : text.slice(0, colon);
  const name = colon === -1 ? undefined : text.slice(colon + 1);
  if (folder === '' || name === '') return badValue('a layout is written oci:PATH or oci:PATH:NAME');
  const source = { kind: 'layout', path: path.resolve(baseFolder, folder) } as const;
  return { source: name === undefined ? source : { ...source, name } };
}

function findImage(reference: string, names: SourceNames, use: 'base' | 'copy'): Found<ImageSource> {
  const mistyped = mistypedName(reference, names, use);
  if (mistyped !== undefined) {
    const message = `unknown stage ${quoted(reference)}; write ${quoted(`${reference}:latest`)} when an image is meant`;
    return { problem: { code: 'BUILDFILE_UNKNOWN_STAGE', message, suggestion: mistyped } };
  }
  const complaint = checkReference(reference);
  return complaint === undefined ? nameInFull(reference, names) : badValue(complaint);
}

/** What the name means on this machine. */
function nameInFull(reference: string, { imageName }: SourceNames): Found<ImageSource> {
  try {
    return { source: { kind: 'image', reference: imageName?.(reference) ?? reference } };
  } catch (error) {
    if (errorCode(error) !== 'REFERENCE_AMBIGUOUS' || !(error instanceof Error)) throw error;
    return badValue(`${error.message}; write it in full`);
  }
}

/**
 * The stage or named context that a bare word most likely means. Any bare word can be an image of the hub, so a base
 * that only extends a stage's name, or is extended by it (`node` and `node22`), passes for an image.
 */
function mistypedName(name: string, { stages, contexts }: SourceNames, use: 'base' | 'copy'): string | undefined {
  if (!/^[A-Za-z0-9_-]+$/.test(name)) return undefined;
  const near = suggest(name, [...stages, ...contexts.keys()]).suggestion;
  const isExtension = near !== undefined && (near.startsWith(name) || name.startsWith(near));
  return use === 'base' && isExtension ? undefined : near;
}

function badValue(message: string): { readonly problem: SourceProblem } {
  return { problem: { code: 'BUILDFILE_BAD_VALUE', message } };
}
