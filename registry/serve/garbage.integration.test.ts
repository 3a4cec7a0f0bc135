import { readdir } from 'node:fs/promises';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { describe as describeBytes, mediaTypes, sha256 } from '../../core/index.ts';
import { locationOf, pushBlob, pushImage, startWireRegistry, steppedClock, type WireRegistry } from './wire.ts';

const graceMs = 60 * 60_000;

async function blobFiles(registry: WireRegistry): Promise<readonly string[]> {
  const names = await readdir(path.join(registry.root, 'content', 'blobs', 'sha256'));
  return names.map((name) => `sha256:${name}`).sort();
}

async function start() {
  const clock = steppedClock();
  const registry = await startWireRegistry({ clock, graceMs });
  return { registry, clock };
}

describe('garbage of a registry', () => {
  it('keeps what a manifest leads to, and removes what nothing does after the grace time', async () => {
    const { registry, clock } = await start();
    await using _ = registry;
    const image = await pushImage(registry, 'web', '1.0');
    const loose = await pushBlob(registry, 'web', 'nothing leads here');

    const early = await registry.collectGarbage();
    clock.ms += graceMs + 1;
    const late = await registry.collectGarbage();

    expect(early).toMatchObject({ blobs: 0 });
    expect(late).toMatchObject({ blobs: 1, manifests: 0 });
    expect(await blobFiles(registry)).toEqual([image.digest, image.layer, image.config].sort());
    expect((await registry.send('HEAD', `/v2/web/blobs/${loose}`)).status).toBe(404);
    expect((await registry.send('GET', `/v2/web/blobs/${image.layer}`)).status).toBe(200);
  });

  it.each([
    ['asked for', (registry: WireRegistry, digest: string) => registry.send('HEAD', `/v2/web/blobs/${digest}`)],
    ['uploaded again', (registry: WireRegistry) => pushBlob(registry, 'web', 'a layer')],
    [
      'mounted again',
      (registry: WireRegistry, digest: string) =>
        registry.send('POST', `/v2/web/blobs/uploads/?mount=${digest}&from=web`),
    ],
  ])('keeps a blob that somebody %s, and so may rely on', async (_what, ask) => {
    const { registry, clock } = await start();
    await using _ = registry;
    const digest = await pushBlob(registry, 'web', 'a layer');
    clock.ms += graceMs - 1;
    await ask(registry, digest);
    clock.ms += graceMs - 1;

    await registry.collectGarbage();

    expect((await registry.send('HEAD', `/v2/web/blobs/${digest}`)).status).toBe(200);
  });

  it('keeps the loose blobs of a repository to which something is being uploaded', async () => {
    const { registry, clock } = await start();
    await using _ = registry;
    const digest = await pushBlob(registry, 'web', 'a layer');
    clock.ms += graceMs + 1;
    const location = locationOf(await registry.send('POST', '/v2/web/blobs/uploads/'));

    await registry.collectGarbage();
    expect((await registry.send('GET', `/v2/web/blobs/${digest}`)).status).toBe(200);

    await registry.send('DELETE', location);
    clock.ms += graceMs + 1;
    expect(await registry.collectGarbage()).toMatchObject({ blobs: 1 });
  });

  it('lets uploads expire that nobody goes on with', async () => {
    const { registry, clock } = await start();
    await using _ = registry;
    const location = locationOf(await registry.send('POST', '/v2/web/blobs/uploads/'));
    await registry.send('PATCH', location, { body: 'some' });
    clock.ms += graceMs - 1;
    expect(await registry.collectGarbage()).toMatchObject({ uploads: 0 });
    clock.ms += 2;

    expect(await registry.collectGarbage()).toMatchObject({ uploads: 1 });

    expect((await registry.send('GET', location)).status).toBe(404);
    expect(await readdir(path.join(registry.root, 'uploads'))).toEqual([]);
  });

  it('keeps a blob as long as one repository of several holds it', async () => {
    const { registry, clock } = await start();
    await using _ = registry;
    const image = await pushImage(registry, 'web', '1.0');
    await pushImage(registry, 'other', '1.0');
    await registry.send('DELETE', `/v2/web/manifests/${image.digest}`);
    clock.ms += graceMs + 1;

    expect(await registry.collectGarbage()).toMatchObject({ blobs: 0 });
    expect((await registry.send('GET', `/v2/other/blobs/${image.layer}`)).status).toBe(200);
    expect((await registry.send('GET', `/v2/web/blobs/${image.layer}`)).status).toBe(404);

    await registry.send('DELETE', `/v2/other/manifests/${image.digest}`);
    clock.ms += graceMs + 1;
    expect(await registry.collectGarbage()).toMatchObject({ blobs: 3 });
    expect(await blobFiles(registry)).toEqual([]);
  });

  it('removes manifests without tags only when it is told to, and none that an index, a subject or a tag keeps', async () => {
    const { registry, clock } = await start();
    await using _ = registry;
    const child = await pushImage(registry, 'web', undefined, {}, 'child');
    const index = Buffer.from(
      JSON.stringify({
        schemaVersion: 2,
        mediaType: mediaTypes.index,
        manifests: [describeBytes(mediaTypes.manifest, child.bytes)],
      }),
    );
    await registry.send('PUT', '/v2/web/manifests/all', { headers: { 'Content-Type': mediaTypes.index }, body: index });
    const subject = describeBytes(mediaTypes.manifest, child.bytes);
    const signature = await pushImage(registry, 'web', undefined, { subject }, 'signature');
    const untagged = await pushImage(registry, 'web', undefined, {}, 'untagged');
    clock.ms += graceMs + 1;

    expect(await registry.collectGarbage()).toMatchObject({ manifests: 0, blobs: 0 });
    expect(await registry.collectGarbage({ untagged: true })).toMatchObject({ manifests: 1, blobs: 3 });

    const statusOf = async (digest: string) => (await registry.send('GET', `/v2/web/manifests/${digest}`)).status;
    expect(await Promise.all([child, signature, untagged].map(({ digest }) => statusOf(digest)))).toEqual([
      200, 200, 404,
    ]);
    expect((await registry.send('GET', `/v2/web/blobs/${child.layer}`)).status).toBe(200);

    // The index goes, with it what only it kept, and then what referred to that.
    await registry.send('DELETE', `/v2/web/manifests/${sha256(index)}`);
    clock.ms += graceMs + 1;
    expect(await registry.collectGarbage({ untagged: true })).toMatchObject({ manifests: 2, blobs: 7 });
    expect(await blobFiles(registry)).toEqual([]);
  });

  it('keeps every tagged image whole while many push, delete and collect at once', async () => {
    // With hardly any grace time, so that what is loose goes at once.
    await using registry = await startWireRegistry({ graceMs: 20 });
    let done = false;
    const collecting = (async () => {
      let rounds = 0;
      for (; !done; rounds++) await registry.collectGarbage({ untagged: true });
      return rounds;
    })();
    const pushed = await Promise.all(
      Array.from({ length: 8 }, async (_, worker) => {
        const images: string[] = [];
        for (let turn = 0; turn < 6; turn++) {
          // All share layers, so that what one deletes another is about to name.
          const digest = await pushUntilTaken(registry, `repo${worker % 3}`, `w${worker}`, `mark ${turn % 3}`);
          images.push(digest);
          if (turn % 3 === 2) await registry.send('DELETE', `/v2/repo${worker % 3}/manifests/w${worker}`);
        }
        await pushUntilTaken(registry, `repo${worker % 3}`, `w${worker}`, `last ${worker}`);
        return images;
      }),
    );
    done = true;

    expect(await collecting).toBeGreaterThan(1);
    expect(registry.warnings).toEqual([]);
    expect(pushed.flat()).toHaveLength(48);
    for (let worker = 0; worker < 8; worker++) await expectWhole(registry, `repo${worker % 3}`, `w${worker}`);
  });
});

/** As clients do: told that a blob or an upload is gone, they begin again. */
async function pushUntilTaken(registry: WireRegistry, repository: string, tag: string, mark: string): Promise<string> {
  for (let attempt = 0; attempt < 100; attempt++) {
    try {
      return (await pushImage(registry, repository, tag, {}, mark)).digest;
    } catch (error) {
      if (!String(error).includes('404')) throw error;
    }
  }
  throw new Error(`${repository}:${tag} could not be pushed`);
}

async function expectWhole(registry: WireRegistry, repository: string, tag: string): Promise<void> {
  const manifest = await registry.send('GET', `/v2/${repository}/manifests/${tag}`);
  expect(manifest.status).toBe(200);
  const { config, layers } = JSON.parse(manifest.body.toString()) as { config: Blob; layers: readonly Blob[] };
  for (const { digest } of [config, ...layers]) {
    const blob = await registry.send('GET', `/v2/${repository}/blobs/${digest}`);
    expect([blob.status, sha256(blob.body)]).toEqual([200, digest]);
  }
}

interface Blob {
  readonly digest: string;
}
