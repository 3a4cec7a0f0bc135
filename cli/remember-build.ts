import { readdir } from 'node:fs/promises';
import path from 'node:path';
import { type BuildResult, type Plan, stepSources, type Workshop } from '../builder/index.ts';
import { type Digest, makeFolder, openImage, writeFileUnsynced } from '../core/index.ts';
import type { BuildCommandRequest } from './build-request.ts';
import { absentFlags } from './command.ts';
import { type BuildFlags, buildFlags } from './commands/build.ts';
import type { Context } from './context.ts';
import { homeOf } from './store.ts';
import type { Sink, Terminal } from './terminal.ts';
import { type BuildProcess, signatureOf, type UnchangedBuild, unchangedFile } from './unchanged-build.ts';

/** Flags whose effect is all in the result, its names, and what is said. */
const harmlessFlags: ReadonlySet<string> = new Set([
  ...['tag', 'file', 'target', 'all', 'platform', 'network', 'jobs', 'frozen', 'no-lock', 'label', 'annotation'],
  ...['squash', 'progress', 'quiet', 'json', 'build-arg'],
]);
/** More than these are compared faster by the build itself. */
const maxWatched = 2000;
/** A file younger than this may change again without its times showing it. */
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
  if (said === undefined || !isAllCached || !areHarmless(flags) || opened.includes.files.length > 0) return;
  if (context.terminal.err.isTerminal && !flags.quiet) return;
  const sources = request.plans.map(sourcesOf);
  if (sources.includes('others')) return;
  const home = homeOf(context);
  const files = [
    ...[opened.buildfile, `${opened.buildfile}.lock`, `${opened.buildfile}.ignore`],
    ...['.buildignore', '.dockerignore'].map((name) => path.join(opened.contextFolder, name)),
    ...[path.join(home, 'content', 'index.json'), process.argv[1] ?? ''],
    ...meanings.map((kind) => path.join(home, 'records', kind)),
    ...(sources.includes('context') ? await treeOf(opened.contextFolder) : []),
  ];
  const watched = files.map((file) => [file, signatureOf(file)] as const);
  if (watched.length > maxWatched || !watched.every(([, signature]) => isSafe(signature, context.clock.now()))) return;
  const blobs = [...(await blobsOf(result, workshop, context))].map(
    ([digest, size]) => [workshop.content.blobFile(digest), size] as const,
  );
  const file = unchangedFile(home, process);
  await makeFolder(path.dirname(file), 0o700);
  const build: UnchangedBuild = { out: said.out, err: said.err, watched, blobs };
  await writeFileUnsynced(file, JSON.stringify(build));
}

function areHarmless(flags: BuildFlags): boolean {
  const absent: Readonly<Record<string, unknown>> = absentFlags(buildFlags);
  return Object.entries(flags).every(
    ([name, value]) => harmlessFlags.has(name) || JSON.stringify(value) === JSON.stringify(absent[name]),
  );
}

/** Whether a plan reads its context, nothing outside the store, or things that are not watched. */
function sourcesOf(plan: Plan): 'store' | 'context' | 'others' {
  const sources = plan.stages.flatMap(({ steps }) => steps.flatMap(stepSources));
  if (plan.stages.some(({ base }) => base.kind === 'layout')) return 'others';
  if (sources.some(({ kind }) => kind === 'layout' || kind === 'folder')) return 'others';
  return sources.some(({ kind }) => kind === 'context') ? 'context' : 'store';
}

/** The folder and all in it, as far as it may be watched. */
async function treeOf(folder: string): Promise<string[]> {
  const found = [folder];
  const waiting = [folder];
  for (let next = waiting.pop(); next !== undefined && found.length <= maxWatched; next = waiting.pop()) {
    for (const entry of await readdir(next, { withFileTypes: true })) {
      const file = path.join(next, entry.name);
      found.push(file);
      if (entry.isDirectory()) waiting.push(file);
    }
  }
  return found;
}

/** Links lead to what is not watched; what is young may change unseen. */
function isSafe(signature: string, nowMs: number): boolean {
  if (signature === 'absent') return true;
  const [, , mode = '0', , mtimeNs = '0', ctimeNs = '0'] = signature.split(':');
  const isLink = (Number(mode) & 0o170000) === 0o120000;
  return !isLink && Math.max(Number(mtimeNs), Number(ctimeNs)) / 1e6 < nowMs - racyMs;
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
