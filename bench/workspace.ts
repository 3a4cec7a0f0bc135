import { mkdirSync, mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { firstAnswer, freePort } from '../test/loopback.ts';
import { output, serve } from './shell.ts';

const imageBytes = 16 * 1024 ** 3;

export interface Workspace extends AsyncDisposable {
  readonly folder: string;
  readonly fileSystem: string;
}

export interface Registry extends AsyncDisposable {
  readonly host: string;
  /** Forgets everything that was pushed. */
  empty(): void;
}

/**
 * A folder that is gone afterwards. As root it lies on a journalled ext4 in a sparse file: without a journal, the kernel
 * is slow at creating files for minutes after many were deleted, which would measure the tool that came before.
 */
export async function openWorkspace(): Promise<Workspace> {
  const outer = mkdtempSync(path.join(tmpdir(), 'kiln-bench-'));
  const folder = path.join(outer, 'fs');
  mkdirSync(folder);
  const isLoop = process.getuid?.() === 0 && (await mountLoop(path.join(outer, 'image'), folder));
  return {
    folder,
    fileSystem: isLoop ? 'ext4 with a journal, in a sparse file' : `the one of ${tmpdir()}`,
    [Symbol.asyncDispose]: async () => {
      for (const mount of mountsBelow(folder)) await output('umount', mount);
      if (process.getuid?.() !== 0) await output('unshare', '--map-root-user', '--map-auto', 'rm', '-rf', outer);
      rmSync(outer, { recursive: true, force: true });
    },
  };
}

/** Debian's docker-registry on loopback. */
export async function openRegistry(folder: string): Promise<Registry> {
  const port = await freePort();
  const host = `127.0.0.1:${port}`;
  const data = path.join(folder, 'data');
  mkdirSync(data, { recursive: true });
  const config = path.join(folder, 'config.yml');
  const settings = {
    version: '0.1',
    log: { level: 'error', accesslog: { disabled: true } },
    storage: { filesystem: { rootdirectory: data } },
    http: { addr: host },
  };
  writeFileSync(config, JSON.stringify(settings));
  const server = serve(['docker-registry', 'serve', config], { OTEL_TRACES_EXPORTER: 'none' });
  await firstAnswer(`http://${host}/v2/`);
  return {
    host,
    empty: () => rmSync(path.join(data, 'docker'), { recursive: true, force: true }),
    [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
  };
}

async function mountLoop(image: string, folder: string): Promise<boolean> {
  writeFileSync(image, '');
  truncateSync(image, imageBytes);
  if ((await output('mkfs.ext4', '-q', image)) === undefined) return false;
  return (await output('mount', '-o', 'loop,discard', image, folder)) !== undefined;
}

/** Deepest first. */
function mountsBelow(folder: string): readonly string[] {
  const lines = readFileSync('/proc/self/mountinfo', 'utf8').split('\n');
  const points = lines.map((line) => line.split(' ')[4] ?? '');
  return points.filter((point) => point === folder || point.startsWith(`${folder}/`)).reverse();
}
