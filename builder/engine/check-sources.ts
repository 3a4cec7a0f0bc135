import { type CallOptions, ToolError } from '../../core/index.ts';
import { placeOf } from '../buildfile/problems.ts';
import { ContextTree } from '../copy/context-tree.ts';
import { findPaths, hasWildcards, notFound } from '../copy/find-paths.ts';
import { pathParts } from '../copy/path-parts.ts';
import type { CopyStep, Position } from '../plan/plan.ts';
import type { BuildContext } from './build-context.ts';
import { StepError } from './errors.ts';
import { readFolderIgnoreRules } from './open-context.ts';

interface MissingSource {
  readonly position: Position;
  readonly error: ToolError;
}

/**
 * Looks for what copies name in folders of this machine before anything else is done: nobody wants to wait for the
 * steps above to be told of a misspelt path. What has wildcards is found when its turn comes.
 * @throws StepError COPY_SOURCE_NOT_FOUND, COPY_SOURCE_OUTSIDE that names all that cannot be had
 */
export async function checkSources(contexts: readonly BuildContext[], options: CallOptions): Promise<void> {
  const missing = new Map<string, MissingSource>();
  for (const context of contexts) {
    for (const step of context.plan.stages.flatMap(({ steps }) => steps)) {
      options.signal?.throwIfAborted();
      if (step.verb !== 'copy' || step.optional) continue;
      for (const error of await missingIn(context, step, options)) {
        missing.set(`${placeOf(step.position)} ${error.message}`, { position: step.position, error });
      }
    }
  }
  const [first, ...others] = missing.values();
  if (first === undefined) return;
  const also = others.map(({ position, error }) => `\n${placeOf(position)}: ${error.message}`);
  const { code, message, hint } = first.error;
  throw new StepError(
    first.position,
    new ToolError(code, `${message}${also.join('')}`, hint === undefined ? {} : { hint }),
  );
}

async function missingIn(context: BuildContext, step: CopyStep, options: CallOptions): Promise<ToolError[]> {
  const paths = step.paths.filter((pattern) => !hasWildcards(pattern));
  const tree = paths.length === 0 ? undefined : await folderOf(context, step, options);
  if (tree === undefined) return [];
  const errors: ToolError[] = [];
  for (const pattern of paths) {
    try {
      if ((await findPaths(tree, pathParts(pattern))).length === 0) errors.push(await notFound(tree, pattern));
    } catch (error) {
      if (!(error instanceof ToolError)) throw error;
      errors.push(error);
    }
  }
  return errors;
}

/** Undefined for what does not lie in a folder of this machine. */
async function folderOf(
  { options: { contextFolder, ignore }, workshop }: BuildContext,
  { from, preserve }: CopyStep,
  options: CallOptions,
): Promise<ContextTree | undefined> {
  const { launcher } = workshop.options;
  if (from.kind === 'context') return new ContextTree(contextFolder, ignore, { preserve, launcher });
  if (from.kind !== 'folder') return undefined;
  const rules = await readFolderIgnoreRules(from.path, options);
  return new ContextTree(from.path, rules, { name: `the context ${from.name}`, preserve, launcher });
}
