import { type CallOptions, unreachable } from '../../core/index.ts';
import { askBootstrap } from '../base/bootstrap-base.ts';
import { registryDigestOf } from '../base/origins.ts';
import { findLocalImage } from '../base/pull-image.ts';
import type { BuildOptions } from '../engine/build-context.ts';
import type { Workshop } from '../workshop/workshop.ts';
import type { LockContent } from './lock-content.ts';
import type { PinKind, PinValues } from './pins.ts';
import type { Question } from './questions.ts';

export interface AskOptions extends CallOptions {
  readonly build: Pick<BuildOptions, 'proxies' | 'secrets' | 'sshAgents' | 'sshKnownHosts'>;
  readonly onStatus?: (text: string) => void;
  /** Takes the answer for a build without pins too, so that it does not go back behind the lock file. */
  readonly remember: boolean;
}

/**
 * What the network answers now: a registry by HEAD, a server conditionally, an archive by its indexes, a repository by
 * its refs. Undefined for an image that is only here, which no lock file has.
 * @throws ToolError REGISTRY_*, REFERENCE_NOT_FOUND, FETCH_*, BOOTSTRAP_*
 */
export async function askNetwork(
  workshop: Workshop,
  question: Question,
  options: AskOptions,
): Promise<PinValues[PinKind] | undefined> {
  const { build, signal } = options;
  switch (question.kind) {
    case 'images': {
      const { reference } = question;
      if (await isOnlyHere(workshop, question, options)) return undefined;
      return (await workshop.repository(reference).resolve(reference.tag ?? 'latest', { signal })).digest;
    }
    case 'urls': {
      const { downloadFile } = await import('../fetch/fetch-file.ts');
      return (await downloadFile(workshop, question.key, { ...build, ...options })).digest;
    }
    case 'git': {
      const { askRef, rememberRef } = await import('../fetch/repository-content.ts');
      const commit = await askRef(workshop, question, { ...build, ...options });
      if (options.remember) await rememberRef(workshop, question, commit);
      return commit;
    }
    case 'bootstraps':
      return askBootstrap(workshop, question.source, { ...options, ...question, proxies: build.proxies });
    default:
      throw unreachable(question);
  }
}

/** Questions that a build would have to ask, since nothing is locked: what a frozen lock file lacks. */
export async function unanswered(
  workshop: Workshop,
  questions: readonly Question[],
  content: LockContent,
  options: CallOptions = {},
): Promise<Question[]> {
  const open: Question[] = [];
  for (const question of questions) {
    if (content[question.kind].has(question.key)) continue;
    if (question.kind === 'images' && (await isOnlyHere(workshop, question, options))) continue;
    open.push(question);
  }
  return open;
}

/** An image that was built here, or loaded, and is at no registry as far as is known. */
async function isOnlyHere(
  workshop: Workshop,
  { key, platform }: Extract<Question, { kind: 'images' }>,
  options: CallOptions,
): Promise<boolean> {
  const local = await findLocalImage(workshop, key, { ...options, platform });
  if (local === undefined) return false;
  return (await registryDigestOf(workshop.records, key, local.descriptor.digest)) === undefined;
}
