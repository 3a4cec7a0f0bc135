import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { Readable } from 'node:stream';
import { describe, expect, it } from 'vitest';
import { describe as describeBytes, mediaTypes, parseDigest } from '../../core/index.ts';
import { type ChunkRegistryBehaviour, startChunkRegistry } from './chunk-registry.ts';
import { openRepository, type RemoteRepository } from './repository.ts';
import type { UploadMemory } from './upload-memory.ts';

const mebibyte = 1024 * 1024;
const chunkBytes = 5 * mebibyte;

function open(host: string, uploads?: UploadMemory): RemoteRepository {
  return openRepository(
    { registry: host, repository: 'web' },
    {
      credentials: { find: async () => ({ username: 'me', secret: 'my password' }) },
      timing: { backoffMs: 4 },
      ...(uploads === undefined ? {} : { uploads }),
    },
  );
}

function digestOf(bytes: Buffer): string {
  return `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
}

function stream(bytes: Buffer): Readable {
  const pieces = Array.from({ length: Math.ceil(bytes.byteLength / 300_000) }, (_, index) =>
    bytes.subarray(index * 300_000, (index + 1) * 300_000),
  );
  return Readable.from(pieces, { objectMode: false });
}

function memory(): UploadMemory & { readonly kept: Map<string, string> } {
  const kept = new Map<string, string>();
  return {
    kept,
    find: async (key) => kept.get(key),
    keep: async (key, location) => void kept.set(key, location),
    forget: async (key) => void kept.delete(key),
  };
}

async function start(behaviour: ChunkRegistryBehaviour = {}) {
  const registry = await startChunkRegistry(behaviour);
  return Object.assign(registry, { repository: open(registry.host) });
}

describe('a blob whose digest is known at its end', () => {
  it('goes in chunks that follow one another, and is named when all are there', async () => {
    await using registry = await start();
    const bytes = randomBytes(2 * chunkBytes + 17);

    const blob = await registry.repository.ingest(stream(bytes), { key: 'a layer' });

    expect(blob).toEqual({ digest: digestOf(bytes), size: bytes.byteLength });
    expect(registry.blobs.get(blob.digest)?.equals(bytes)).toBe(true);
    expect(registry.seen).toEqual([
      'POST',
      `PATCH 0-${chunkBytes - 1}`,
      `PATCH ${chunkBytes}-${2 * chunkBytes - 1}`,
      `PATCH ${2 * chunkBytes}-${2 * chunkBytes + 16}`,
      'PUT',
    ]);
  });

  it.each([0, 1, 70_000, chunkBytes])('of %d bytes goes whole, and not at all when it is there', async (size) => {
    await using registry = await start();
    const bytes = randomBytes(size);

    const blob = await registry.repository.ingest(stream(bytes), { key: 'a layer' });
    const again = await registry.repository.ingest(stream(bytes), { key: 'a layer' });

    expect(again).toEqual(blob);
    expect(registry.blobs.get(digestOf(bytes))?.equals(bytes)).toBe(true);
    expect(registry.seen).toEqual(['HEAD', 'POST', 'PUT', 'HEAD']);
  });

  it('is refused where parts are not taken, and then at once', async () => {
    await using registry = await start({
      instead: (request, response) => {
        if (request.method !== 'PATCH') return false;
        request.resume();
        response.writeHead(405).end();
        return true;
      },
    });
    const bytes = randomBytes(chunkBytes + 1);

    const first = registry.repository.ingest(stream(bytes), { key: 'one' });
    await expect(first).rejects.toMatchObject({ code: 'REGISTRY_CHUNKS_REFUSED' });
    const asked = registry.seen.length;
    const second = registry.repository.ingest(stream(bytes), { key: 'two' });

    await expect(second).rejects.toMatchObject({ code: 'REGISTRY_CHUNKS_REFUSED' });
    expect(registry.seen).toHaveLength(asked);
  });

  it('goes in smaller chunks where the larger ones are too large', async () => {
    await using registry = await start({
      instead: async (request, response) => {
        if (request.method !== 'PATCH' || Number(request.headers['content-length']) <= 4 * mebibyte) return false;
        request.resume();
        await once(request, 'end');
        response.writeHead(416).end();
        return true;
      },
    });
    const bytes = randomBytes(2 * chunkBytes);

    await registry.repository.ingest(stream(bytes), { key: 'a layer' });

    expect(registry.blobs.get(digestOf(bytes))?.equals(bytes)).toBe(true);
    expect(registry.largest()).toBe(4 * mebibyte);
  });

  it('goes on behind what a registry took that takes less than it is sent', async () => {
    await using registry = await start({ takes: 3_000_000 });
    const bytes = randomBytes(2 * chunkBytes + 5);

    await registry.repository.ingest(stream(bytes), { key: 'a layer' });

    expect(registry.blobs.get(digestOf(bytes))?.equals(bytes)).toBe(true);
  });

  it('goes on where a connection broke off', async () => {
    await using registry = await start({
      instead: async (request, _response, turn) => {
        if (request.method !== 'PATCH' || turn !== 2) return false;
        let received = 0;
        for await (const chunk of request as AsyncIterable<Buffer>) {
          registry.uploads.set('1', Buffer.concat([registry.uploads.get('1') ?? Buffer.alloc(0), chunk]));
          received += chunk.byteLength;
          if (received > mebibyte) break;
        }
        request.socket.destroy();
        return true;
      },
    });
    const bytes = randomBytes(3 * chunkBytes);

    await registry.repository.ingest(stream(bytes), { key: 'a layer' });

    expect(registry.blobs.get(digestOf(bytes))?.equals(bytes)).toBe(true);
    const starts = registry.seen.flatMap((line) => /^PATCH (\d+)-/.exec(line)?.[1] ?? []).map(Number);
    expect(starts).toHaveLength(4);
    expect(starts[2]).toBeGreaterThan(chunkBytes + mebibyte);
  });

  it('is lost, and can be sent anew, when the registry forgot it', async () => {
    await using registry = await start({
      instead: (request, response, turn) => {
        if (request.method === 'PATCH' && turn === 2) {
          registry.uploads.clear();
          request.resume();
          response.writeHead(404).end();
          return true;
        }
        return false;
      },
    });
    const bytes = randomBytes(3 * chunkBytes);

    const first = registry.repository.ingest(stream(bytes), { key: 'a layer' });
    await expect(first).rejects.toMatchObject({ code: 'REGISTRY_UPLOAD_LOST' });
    await registry.repository.ingest(stream(bytes), { key: 'a layer' });

    expect(registry.blobs.get(digestOf(bytes))?.equals(bytes)).toBe(true);
  });

  it('goes in chunks as large as the registry wants them, if that is not too much', async () => {
    await using registry = await start({ begins: { 'oci-chunk-min-length': String(7 * mebibyte) } });
    await using greedy = await start({ begins: { 'OCI-Chunk-Min-Length': String(2 ** 40) } });
    const bytes = randomBytes(15 * mebibyte);

    await registry.repository.ingest(stream(bytes), { key: 'a layer' });
    const refused = greedy.repository.ingest(stream(bytes), { key: 'a layer' });

    expect(registry.seen[1]).toBe(`PATCH 0-${7 * mebibyte - 1}`);
    expect(registry.blobs.get(digestOf(bytes))?.equals(bytes)).toBe(true);
    await expect(refused).rejects.toMatchObject({ code: 'REGISTRY_CHUNKS_REFUSED' });
    expect(greedy.uploads.size).toBe(0);
  });

  it('ends with its source, and leaves what was sent for another try', async () => {
    await using registry = await startChunkRegistry();
    const uploads = memory();
    const bytes = randomBytes(3 * chunkBytes);
    async function* breaking() {
      yield bytes.subarray(0, 2 * chunkBytes + 1);
      throw new TypeError('the layer is gone');
    }

    const broken = open(registry.host, uploads).ingest(Readable.from(breaking(), { objectMode: false }), { key: 'it' });
    await expect(broken).rejects.toThrow('the layer is gone');
    const later = registry.seen.length;
    await open(registry.host, uploads).ingest(stream(bytes), { key: 'it' });

    expect(registry.seen.slice(later)).toEqual(['GET', `PATCH ${2 * chunkBytes}-${3 * chunkBytes - 1}`, 'PUT']);
    expect(registry.blobs.get(digestOf(bytes))?.equals(bytes)).toBe(true);
    expect(uploads.kept.size).toBe(0);
  });

  it('does not trust what it finds: another beginning is found out, and forgotten', async () => {
    await using registry = await startChunkRegistry();
    const uploads = memory();
    const bytes = randomBytes(3 * chunkBytes);
    registry.uploads.set('7', randomBytes(chunkBytes));
    uploads.kept.set(`${registry.host}/web it`, `http://${registry.host}/v2/web/blobs/uploads/7`);

    const first = open(registry.host, uploads).ingest(stream(bytes), { key: 'it' });

    await expect(first).rejects.toMatchObject({ code: 'REGISTRY_UPLOAD_LOST' });
    expect(uploads.kept.size).toBe(0);
  });

  it('gives a location on another host no credentials, and to nobody', async () => {
    const sent: (string | undefined)[] = [];
    await using storage = await startChunkRegistry({
      instead: ({ headers }) => {
        sent.push(headers.authorization);
        return false;
      },
    });
    storage.uploads.set('1', Buffer.alloc(0));
    const authorized: (string | undefined)[] = [];
    await using registry = await startChunkRegistry({
      instead: async (request, response) => {
        authorized.push(request.headers.authorization);
        if (request.headers.authorization === undefined) {
          response.writeHead(401, { 'www-authenticate': 'Basic realm="r"' }).end();
          return true;
        }
        return false;
      },
      begins: { location: `http://${storage.host}/v2/web/blobs/uploads/1?signature=secret` },
    });
    const uploads = memory();
    const kept: string[] = [];
    const watched = { ...uploads, keep: async (_key: string, location: string) => void kept.push(location) };
    const bytes = randomBytes(2 * chunkBytes);

    await open(registry.host, watched).ingest(stream(bytes), { key: 'it' });

    expect(storage.blobs.get(digestOf(bytes))?.equals(bytes)).toBe(true);
    expect(authorized).toEqual([undefined, expect.stringMatching(/^Basic /)]);
    expect(kept).toEqual([]);
    expect(sent).toEqual([undefined, undefined, undefined]);
  });
});

describe('a blob whose digest is known', () => {
  it('goes on, in one piece, where a connection broke off', async () => {
    const bytes = randomBytes(12 * mebibyte);
    const descriptor = describeBytes(mediaTypes.layerGzip, bytes);
    await using registry = await start({
      instead: async (request, _response, turn) => {
        if (request.method !== 'PUT' || turn !== 1) return false;
        const taken: Buffer[] = [];
        for await (const chunk of request as AsyncIterable<Buffer>) {
          taken.push(chunk);
          if (Buffer.concat(taken).byteLength > 2 * mebibyte) break;
        }
        registry.uploads.set('1', Buffer.concat(taken));
        request.socket.destroy();
        return true;
      },
    });
    await using partial = await registry.repository.resume(descriptor);
    await expect(partial?.append(stream(bytes))).rejects.toMatchObject({ code: 'REGISTRY_UNREACHABLE' });
    const from = partial?.bytes ?? 0;
    await partial?.append(stream(bytes.subarray(from)));

    expect(from).toBeGreaterThan(2 * mebibyte);
    expect(registry.blobs.get(descriptor.digest)?.equals(bytes)).toBe(true);
    expect(registry.seen.at(-1)).toBe(`PUT ${from}-${bytes.byteLength - 1}`);
  });

  it('is not taken when it is another, even as the rest of one', async () => {
    const bytes = randomBytes(9 * mebibyte);
    const descriptor = describeBytes(mediaTypes.layerGzip, bytes);
    await using registry = await startChunkRegistry();
    const uploads = memory();
    registry.uploads.set('7', randomBytes(mebibyte));
    uploads.kept.set(`${registry.host}/web ${descriptor.digest}`, `http://${registry.host}/v2/web/blobs/uploads/7`);
    const repository = open(registry.host, uploads);

    await using partial = await repository.resume(descriptor);
    expect(partial?.bytes).toBe(mebibyte);
    await expect(partial?.append(stream(bytes.subarray(mebibyte)))).rejects.toMatchObject({
      code: 'BLOB_DIGEST_MISMATCH',
    });

    expect(partial?.bytes).toBe(0);
    await partial?.append(stream(bytes));
    expect([...registry.blobs.keys()]).toEqual([parseDigest(descriptor.digest)]);
  });
});
