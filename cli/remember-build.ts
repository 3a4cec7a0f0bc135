import path from 'node:path';
import { type BuildResult, type Plan, stepSources, type Workshop } from '../builder/index.ts';
import { type Digest, makeFolder, openImage, writeFileUnsynced } from '../core/index.ts';
import type { BuildCommandRequest } from './build-request.ts';
import { absentFlags } from './command.ts';
import { type BuildFlags, buildFlags } from './commands/build.ts';
import type { Context } from './context.ts';
import { type FolderSignature, signatureOfFolder } from './folder-signature.ts';
import { homeOf } from './store.ts';
import type { Sink, Terminal } from './terminal.ts';
import { type BuildProcess, signatureOf, type UnchangedBuild, unchangedFile } from './unchanged-build.ts';

/** Flags whose effect is all in the result, its names, and what is said. */
const harmlessFlags: ReadonlySet<string> = new Set([
  ...['tag', 'file', 'target', 'all', 'platform', 'network', 'jobs', 'frozen', 'no-lock', 'label', 'annotation'],
  ...['squash', 'progress', 'quiet', 'json', 'build-arg', 'build-context'],
]);
/**
 * In folders with more entries the build itself, which does not look into what its ignore file leaves out, may well be
 * faster.
 */
const maxEntries = 30_000;
/** A file younger than this when the build began may have changed since without its times showing it. */
const racyMs = 2000;
/** Records that say what a source means; another build may change them. */
const meanings = ['bootstraps-v1', 'bootstrap-sets-v1', 'package-sets-v1', 'fetches-v1', 'origins-v1'];

/** What a build says, as it is said. */
export interface Overheard {
  readonly context: Context;
  /** Undefined once something was said that another build would not say. */
  text(): { readonly out: string; readonly err: string } | undefined;
}

export function overhear(context: Context): Overheard {
  const said = { out: '', err: '', isOwn: true };
  const listen = (sink: Sink, stream: 'out' | 'err'): Sink =>
    Object.create(sink, {
      write: {
        value(text: string | Uint8Array) {
          if (typeof text === 'string') said[stream] += text;
          else said.isOwn = false;
          sink.write(text);
        },
      },
    });
  const { terminal } = context;
  const heard: Terminal = Object.create(terminal, {
    out: { value: listen(terminal.out, 'out') },
    err: { value: listen(terminal.err, 'err') },
    say: {
      value(line: string) {
        said.isOwn = false;
        terminal.say(line);
      },
    },
  });
  return { context: { ...context, terminal: heard }, text: () => (said.isOwn ? said : undefined) };
}

/** Keeps what a build said in which everything came out of the cache, for `findUnchangedBuild`, when that is safe. */
export async function rememberBuild(
  process: BuildProcess,
  { context, text }: Overheard,
  flags: BuildFlags,
  { request, context: opened }: BuildCommandRequest,
  result: BuildResult,
  workshop: Workshop,
): Promise<void> {
  const said = text();
  const isAllCached = result.trace.steps.every(({ cached }) => cached);
  if (said === undefined || !isAllCached || !areHarmless(flags)) return;
  if (context.terminal.err.isTerminal && !flags.quiet) return;
  if (request.plans.some(readsLayouts)) return;
  const settledMs = performance.timeOrigin - racyMs;
  const roots = new Set(request.plans.flatMap((plan) => foldersOf(plan, opened.contextFolder)));
  const folders = lookInto([...roots]);
  if (folders === undefined || folders.some(([, { newestMs }]) => newestMs >= settledMs)) return;
  const home = homeOf(context);
  const files = [
    ...[opened.buildfile, `${opened.buildfile}.lock`, `${opened.buildfile}.ignore`],
    ...['.buildignore', '.dockerignore'].map((name) => path.join(opened.contextFolder, name)),
    ...[path.join(home, 'content', 'index.json'), process.argv[1] ?? ''],
    ...opened.includes.files.map(({ name, folder }) => path.join(folder, path.basename(name))),
    ...roots,
    ...(opened.imageNames?.sources ?? []),
    ...meanings.map((kind) => path.join(home, 'records', kind)),
  ];
  const watched = files.map((file) => [file, signatureOf(file)] as const);
  if (!watched.every(([, signature]) => isSafe(signature, settledMs))) return;
  const blobs = [...(await blobsOf(result, workshop, context))].map(
    ([digest, size]) => [workshop.content.blobFile(digest), size] as const,
  );
  const file = unchangedFile(home, process);
  await makeFolder(path.dirname(file), 0o700);
  const build: UnchangedBuild = {
    out: said.out,
    err: said.err,
    watched,
    // Who works on something changes it again: that is seen at once.
    folders: folders
      .sort(([, a], [, b]) => b.newestMs - a.newestMs)
      .map(([folder, { digest }]) => [folder, digest] as const),
    blobs,
  };
  await writeFileUnsynced(file, JSON.stringify(build));
}

function areHarmless(flags: BuildFlags): boolean {
  const absent: Readonly<Record<string, unknown>> = absentFlags(buildFlags);
  return Object.entries(flags).every(
    ([name, value]) => harmlessFlags.has(name) || JSON.stringify(value) === JSON.stringify(absent[name]),
  );
}

/** What is in a layout on disk is not watched. */
function readsLayouts({ stages }: Plan): boolean {
  const sources = stages.flatMap(({ steps }) => steps.flatMap(stepSources));
  return stages.some(({ base }) => base.kind === 'layout') || sources.some(({ kind }) => kind === 'layout');
}

/** Folders on disk that a plan's steps read from, absolute; links in them lead nowhere else. */
function foldersOf({ stages }: Plan, contextFolder: string): string[] {
  return stages
    .flatMap(({ steps }) => steps.flatMap(stepSources))
    .flatMap((source) => (source.kind === 'context' ? [contextFolder] : source.kind === 'folder' ? [source.path] : []));
}

/** All folders of these trees; undefined when there is too much in them. */
function lookInto(roots: readonly string[]): [string, FolderSignature][] | undefined {
  const found: [string, FolderSignature][] = [];
  const waiting = [...roots];
  let entries = 0;
  for (let folder = waiting.pop(); folder !== undefined; folder = waiting.pop()) {
    const signature = signatureOfFolder(folder);
    if (signature === undefined) return undefined;
    entries += signature.entries;
    if (entries > maxEntries) return undefined;
    found.push([folder, signature]);
    waiting.push(...signature.folders);
  }
  return found;
}

/** Links lead to what is not watched; what is young may change unseen. */
function isSafe(signature: string, settledMs: number): boolean {
  if (signature === 'absent') return true;
  const [, , mode = '0', , mtimeNs = '0', ctimeNs = '0'] = signature.split(':');
  const isLink = (Number(mode) & 0o170000) === 0o120000;
  return !isLink && Math.max(Number(mtimeNs), Number(ctimeNs)) / 1e6 < settledMs;
}

/** All that the results consist of, with sizes. */
async function blobsOf(result: BuildResult, workshop: Workshop, { signal }: Context): Promise<Map<Digest, number>> {
  const blobs = new Map<Digest, number>();
  for (const { descriptor, images } of result.targets) {
    blobs.set(descriptor.digest, descriptor.size);
    for (const image of images) {
      const { manifest } = await openImage(workshop.content, image.descriptor, { signal, platform: image.platform });
      for (const { digest, size } of [image.descriptor, manifest.config, ...manifest.layers]) blobs.set(digest, size);
    }
  }
  return blobs;
}
