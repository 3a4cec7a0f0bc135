import { createHash, randomBytes } from 'node:crypto';
import { mkdtempDisposable, readdir, readFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { inspect } from 'node:util';
import { gzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import {
  type Descriptor,
  describe as describeBytes,
  LockFolder,
  mapConcurrent,
  mediaTypes,
  streamOf,
  type Target,
  ToolError,
} from '../../core/index.ts';
import { registryUser } from '../../test/docker-registry.ts';
import { json } from '../content-suite.ts';
import { copyImage } from '../copy/copy-image.ts';
import { OciLayout } from '../layout/oci-layout.ts';
import { memoryTarget } from '../memory.ts';
import { concernsTokens, type Fault, faults, mainFault } from './fault-plan.ts';
import { type FaultRegistry, type FaultRegistryAuth, startFaultRegistry } from './fault-registry.ts';
import { openRepository, type RemoteRepository } from './repository.ts';

/** FAULT_SEED=17 repeats one run. */
const seeds =
  process.env.FAULT_SEED === undefined
    ? Array.from({ length: 100 }, (_, index) => index + 1)
    : [Number(process.env.FAULT_SEED)];
const watchdogMs = 20_000;
const layerOfZeros = gzipSync(Buffer.alloc(20_000_000));
const clearCodes = /^(?:REGISTRY|BLOB|MANIFEST|REFERENCE|DESCRIPTOR|CONFIG)_[A-Z_]+$/;

interface Image {
  readonly content: Target;
  readonly root: Descriptor;
  readonly bytes: ReadonlyMap<string, { readonly bytes: Buffer; readonly mediaType: string }>;
}

interface Run {
  readonly seed: number;
  readonly kind: 'pull' | 'push';
  readonly outcome: 'right' | string;
  readonly happened: readonly Fault[];
  /** What must not be. */
  readonly wrongs: readonly string[];
}

describe('a registry that misbehaves by seed', () => {
  it('ends each of 100 copies right or with a clear error, and learns no secret', { timeout: 300_000 }, async () => {
    const runs = await mapConcurrent(seeds, { concurrency: 12 }, (seed) => watched(seed));

    expect(runs.flatMap(({ seed, kind, wrongs }) => wrongs.map((wrong) => `seed ${seed}, ${kind}: ${wrong}`))).toEqual(
      [],
    );
    if (seeds.length === 1) return;
    const right = runs.filter(({ outcome }) => outcome === 'right');
    expect(right.length).toBeGreaterThan(20);
    expect(right.some(({ happened }) => happened.length > 3)).toBe(true);
    expect(runs.length - right.length).toBeGreaterThan(20);
    const seen = new Set(runs.flatMap(({ happened }) => happened));
    expect(faults.filter((fault) => !seen.has(fault))).toEqual([]);
  });
});

async function watched(seed: number): Promise<Run> {
  const ended = new AbortController();
  const watchdog = delay(watchdogMs, undefined, { signal: ended.signal }).then((): Run => {
    const wrongs = [`did not end within ${watchdogMs / 1000} seconds`];
    return { seed, kind: kindOf(seed), outcome: 'hung', happened: [], wrongs };
  });
  watchdog.catch(() => undefined);
  try {
    return await Promise.race([run(seed), watchdog]);
  } finally {
    ended.abort();
  }
}

async function run(seed: number): Promise<Run> {
  const kind = kindOf(seed);
  const auth = authOf(seed);
  await using registry = await startFaultRegistry(seed, auth);
  await using folder = await mkdtempDisposable(path.join(tmpdir(), 'kiln-faults-'));
  const layout = await OciLayout.open(path.join(folder.path, 'content'), {
    locks: new LockFolder(path.join(folder.path, 'locks')),
  });
  const image = await imageOf(seed);
  const said: unknown[] = [];
  const repository = openRepository(
    { registry: registry.host, repository: 'team/web' },
    {
      credentials: { find: async (host) => (host === registry.host ? registryUser : undefined) },
      timing: { backoffMs: 2, maxBackoffMs: 10, stallMs: 700, answerMs: 700, connectMs: 2000 },
      onExchange: (exchange) => said.push(exchange),
      onWarning: (text) => said.push(text),
    },
  );
  const copy = { registry, layout, image, repository, said };
  let outcome = 'right';
  const wrongs: string[] = [];
  try {
    if (kind === 'pull') await pull(copy);
    else await push(copy, { mount: seed % 3 === 0 });
    wrongs.push(...(kind === 'pull' ? await missingInLayout(copy, folder.path) : missingInRegistry(copy)));
  } catch (error) {
    said.push(error);
    outcome = error instanceof ToolError ? error.code : String(error);
    const isClear = error instanceof ToolError && clearCodes.test(error.code) && error.message.length > 10;
    if (!isClear) wrongs.push(`ended with ${inspect(error)}`);
  }
  wrongs.push(...(await wrongBlobs(folder.path)), ...leaks(registry, said), ...astray(registry));
  return { seed, kind, outcome, happened: registry.happened, wrongs };
}

interface CopyUnderTest {
  readonly registry: FaultRegistry;
  readonly layout: OciLayout;
  readonly image: Image;
  readonly repository: RemoteRepository;
  readonly said: unknown[];
}

async function pull({ registry, layout, image, repository, said }: CopyUnderTest): Promise<void> {
  for (const [digest, content] of image.bytes) registry.contents.set(`team/web/${digest}`, { ...content, digest });
  const manifest = registry.contents.get(`team/web/${image.root.digest}`);
  if (manifest !== undefined) registry.contents.set('team/web:latest', manifest);
  const root = await repository.resolve('latest');
  await copyImage(repository, layout, root, { onEvent: (event) => said.push(event) });
  await layout.tag(root, 'web:latest');
}

async function push(
  { registry, layout, image, repository, said }: CopyUnderTest,
  { mount }: { readonly mount: boolean },
): Promise<void> {
  await copyImage(image.content, layout, image.root);
  for (const [digest, content] of image.bytes) {
    if (content.mediaType === mediaTypes.layer) registry.contents.set(`team/base/${digest}`, { ...content, digest });
  }
  await copyImage(layout, repository, image.root, {
    onEvent: (event) => said.push(event),
    ...(mount ? { mountFrom: 'team/base' } : {}),
  });
  await repository.tag(image.root, 'latest');
}

async function missingInLayout({ layout, image }: CopyUnderTest, folder: string): Promise<string[]> {
  const root = await layout.resolve('web:latest');
  const missing = root.digest === image.root.digest ? [] : [`resolved ${root.digest}`];
  for (const [digest, { bytes }] of image.bytes) {
    const file = path.join(folder, 'content', 'blobs', ...digest.split(':'));
    if (!(await readFile(file)).equals(bytes)) missing.push(`${digest} is not as it was`);
  }
  return missing;
}

function missingInRegistry({ registry, image }: CopyUnderTest): string[] {
  const expected = [...image.bytes].map(([digest, { bytes }]) => [`team/web/${digest}`, bytes] as const);
  const root = image.bytes.get(image.root.digest)?.bytes ?? Buffer.alloc(0);
  return [...expected, ['team/web:latest', root] as const]
    .filter(([at, bytes]) => registry.contents.get(at)?.bytes.equals(bytes) !== true)
    .map(([at]) => `the registry does not have ${at}`);
}

/** Whatever the outcome: a blob that is in the layout is what its name says. */
async function wrongBlobs(folder: string): Promise<string[]> {
  const blobs = path.join(folder, 'content', 'blobs', 'sha256');
  const wrong: string[] = [];
  for (const name of await readdir(blobs)) {
    const digest = createHash('sha256')
      .update(await readFile(path.join(blobs, name)))
      .digest('hex');
    if (digest !== name) wrong.push(`the layout has wrong bytes as ${name}`);
  }
  return wrong;
}

function leaks({ secrets }: FaultRegistry, said: readonly unknown[]): string[] {
  return said.flatMap((thing) => {
    const shown = `${inspect(thing, { depth: 10, showHidden: true })} ${JSON.stringify(thing)}`;
    const isShown = (secret: string) => shown.includes(secret.replace(/=+$/, ''));
    return [...secrets].filter(isShown).map((secret) => `${secret} is in ${shown}`);
  });
}

function astray({ atStorage, secrets }: FaultRegistry): string[] {
  return atStorage.flatMap(({ url, headers }) => {
    const sent = JSON.stringify({ ...headers, url: url.replace(/signature-[0-9a-f]+/, '') });
    const isTrusted = headers.authorization !== undefined || headers.cookie !== undefined;
    return isTrusted || [...secrets].some((secret) => sent.includes(secret)) ? [`the storage was sent ${sent}`] : [];
  });
}

function kindOf(seed: number): 'pull' | 'push' {
  return seed % 2 === 0 ? 'pull' : 'push';
}

function authOf(seed: number): FaultRegistryAuth {
  if (concernsTokens(mainFault(seed))) return 'token';
  return (['none', 'basic', 'token'] as const)[seed % 3] ?? 'none';
}

/** Two ordinary layers, one that unpacks to twenty million zeros, and metadata. */
async function imageOf(seed: number): Promise<Image> {
  const content = memoryTarget();
  const bytes = new Map<string, { bytes: Buffer; mediaType: string }>();
  const put = async (mediaType: string, blob: Buffer): Promise<Descriptor> => {
    const descriptor = describeBytes(mediaType, blob);
    await content.write(descriptor, streamOf(blob));
    bytes.set(descriptor.digest, { bytes: blob, mediaType });
    return descriptor;
  };
  const layers = [
    await put(mediaTypes.layer, Buffer.from(`layer ${seed}`)),
    await put(mediaTypes.layer, randomBytes(150_000)),
    await put(mediaTypes.layerGzip, layerOfZeros),
  ];
  const diffIds = layers.map((layer) => layer.digest);
  const config = await put(
    mediaTypes.config,
    json({ architecture: 'amd64', os: 'linux', rootfs: { type: 'layers', diff_ids: diffIds } }),
  );
  const root = await put(
    mediaTypes.manifest,
    json({ schemaVersion: 2, mediaType: mediaTypes.manifest, config, layers }),
  );
  return { content, root, bytes };
}
