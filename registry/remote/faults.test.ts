import type { ServerResponse } from 'node:http';
import { buffer } from 'node:stream/consumers';
import { inspect } from 'node:util';
import { describe, expect, it } from 'vitest';
import { mediaTypes, readVerified, sha256, streamOf } from '../../core/index.ts';
import { blobOf, json, sampleImage } from '../content-suite.ts';
import { copyImage } from '../copy/copy-image.ts';
import { memoryTarget } from '../memory.ts';
import { startFaultServer } from './fault-server.ts';

const blob = blobOf('some bytes');
const user = { find: async () => ({ username: 'kiln', secret: 'top-secret-password' }) };
const manifest = json({ schemaVersion: 2, mediaType: mediaTypes.manifest, config: blob.descriptor, layers: [] });

describe('a registry that sends wrong bytes', () => {
  it('is found out by whoever copies', async () => {
    const image = await sampleImage('one');
    await using server = await startFaultServer((request, response) => {
      if (request.url?.includes('/blobs/')) return response.end('x'.repeat(12));
      void image.content.read(image.root).then((bytes) => bytes.pipe(response));
    });

    const copying = copyImage(server.repository, memoryTarget(), image.root);

    await expect(copying).rejects.toMatchObject({ code: 'BLOB_DIGEST_MISMATCH' });
  });

  it('is found out when the digest header does not fit the manifest', async () => {
    await using server = await startFaultServer((_request, response) => {
      response.setHeader('docker-content-digest', sha256('something else'));
      response.end(manifest);
    });

    await expect(server.repository.resolve('latest')).rejects.toMatchObject({ code: 'BLOB_DIGEST_MISMATCH' });
  });

  it('cannot pass one manifest off as another that was asked for by digest', async () => {
    await using server = await startFaultServer((_request, response) => response.end(manifest));

    await expect(server.repository.resolve(sha256('x'))).rejects.toMatchObject({ code: 'BLOB_DIGEST_MISMATCH' });
  });

  it('does not fill the memory with a body that never ends', async () => {
    await using server = await startFaultServer((request, response) => {
      if (request.method === 'HEAD') return response.end();
      const more = () => {
        while (!response.destroyed && response.write(Buffer.alloc(65_536))) {}
      };
      response.on('drain', more);
      more();
    });

    const read = readVerified(server.repository, blob.descriptor);
    await expect(read).rejects.toMatchObject({ code: 'BLOB_SIZE_MISMATCH' });
    await expect(server.repository.resolve('latest')).rejects.toMatchObject({ code: 'MANIFEST_INVALID' });
  });

  it('does not pass an HTML page for a manifest', async () => {
    await using server = await startFaultServer((_request, response) => {
      response.setHeader('content-type', 'text/html');
      response.end('<html>log in to the hotel network</html>');
    });

    const { descriptor } = blobOf('{}', mediaTypes.manifest);
    await expect(server.repository.resolve('latest')).rejects.toMatchObject({ code: 'REGISTRY_UNEXPECTED_ANSWER' });
    await expect(server.repository.has(descriptor)).rejects.toMatchObject({ code: 'REGISTRY_UNEXPECTED_ANSWER' });
  });
});

describe('a registry that breaks off', () => {
  it('is asked to go on from where it stopped', async () => {
    await using server = await startFaultServer((request, response) => {
      const from = Number(/bytes=(\d+)-/.exec(request.headers.range ?? '')?.[1] ?? 0);
      const rest = blob.bytes.subarray(from);
      response.writeHead(from === 0 ? 200 : 206, {
        'content-length': rest.byteLength,
        'content-range': `bytes ${from}-${blob.bytes.byteLength - 1}/${blob.bytes.byteLength}`,
      });
      response.write(rest.subarray(0, 4), () => (rest.byteLength <= 4 ? response.end() : response.destroy()));
    });

    expect((await readVerified(server.repository, blob.descriptor)).toString()).toBe('some bytes');
    expect(server.seen.map((exchange) => exchange.headers.range)).toEqual([undefined, 'bytes=4-', 'bytes=8-']);
  });

  it('ends in an error when it does not go on', async () => {
    await using server = await startFaultServer((_request, response) => {
      response.writeHead(200, { 'content-length': 10 });
      response.write('some', () => response.destroy());
    });

    const reading = server.repository.read(blob.descriptor).then(buffer);

    await expect(reading).rejects.toMatchObject({ code: 'REGISTRY_UNREACHABLE' });
  });

  it('does not pass a short body for a whole one', async () => {
    await using server = await startFaultServer((_request, response) => response.end('some'));

    const reading = readVerified(server.repository, blob.descriptor);

    await expect(reading).rejects.toMatchObject({ code: 'BLOB_SIZE_MISMATCH' });
  });
});

describe('retries', () => {
  it('repeats what failed on the side of the server', async () => {
    await using server = await startFaultServer((_request, response, turn) => {
      if (turn < 3) return response.writeHead(turn === 1 ? 500 : 503).end();
      response.end(blob.bytes);
    });

    expect((await readVerified(server.repository, blob.descriptor)).toString()).toBe('some bytes');
    expect(server.seen).toHaveLength(3);
  });

  it('repeats after a connection that was reset', async () => {
    await using server = await startFaultServer((request, response, turn) => {
      if (turn === 1) return request.socket.destroy();
      response.end(blob.bytes);
    });

    expect((await readVerified(server.repository, blob.descriptor)).toString()).toBe('some bytes');
  });

  it('waits as long as Retry-After says', async () => {
    await using server = await startFaultServer((_request, response, turn) => {
      if (turn === 1) return response.writeHead(429, { 'retry-after': '1' }).end();
      response.end(blob.bytes);
    });
    const started = Date.now();

    await readVerified(server.repository, blob.descriptor);

    expect(Date.now() - started).toBeGreaterThanOrEqual(990);
  });

  it.each([
    [429, 'REGISTRY_RATE_LIMITED', 5],
    [502, 'REGISTRY_UNAVAILABLE', 5],
    [403, 'REGISTRY_DENIED', 1],
    [404, 'BLOB_NOT_FOUND', 1],
    [401, 'REGISTRY_UNAUTHORIZED', 1],
    [418, 'REGISTRY_UNEXPECTED_ANSWER', 1],
  ])('gives up on %d with %s', async (status, code, requests) => {
    await using server = await startFaultServer((_request, response) => {
      response.writeHead(status, { 'retry-after': '0' }).end();
    });

    await expect(server.repository.read(blob.descriptor)).rejects.toMatchObject({ code });
    expect(server.seen).toHaveLength(requests);
  });

  it('names the host where nobody listens', async () => {
    let host = '';
    let repository: Awaited<ReturnType<typeof startFaultServer>>['repository'];
    {
      await using server = await startFaultServer((_request, response) => response.end());
      ({ host, repository } = server);
    }

    const asking = repository.has(blob.descriptor);

    await expect(asking).rejects.toMatchObject({ code: 'REGISTRY_UNREACHABLE' });
    await expect(asking).rejects.toThrow(host);
  });
});

describe('redirects', () => {
  it('are followed to another host, without the credentials', async () => {
    await using storage = await startFaultServer((_request, response) => response.end(blob.bytes));
    await using server = await startFaultServer((request, response) => {
      if (request.headers.authorization === undefined) return challenge(response, 'Basic realm="x"');
      response.writeHead(307, { location: `http://${storage.host}/data?signature=1` }).end();
    }, user);

    expect((await readVerified(server.repository, blob.descriptor)).toString()).toBe('some bytes');
    expect(server.seen.at(-1)?.headers.authorization).toBeDefined();
    expect(storage.seen).toHaveLength(1);
    expect(storage.seen[0]?.url).toBe('/data?signature=1');
    expect(storage.seen[0]?.headers.authorization).toBeUndefined();
  });

  it('keep the credentials on the same host', async () => {
    await using server = await startFaultServer((request, response) => {
      if (request.headers.authorization === undefined) return challenge(response, 'Basic realm="x"');
      if (request.url === '/elsewhere') return response.end(blob.bytes);
      response.writeHead(302, { location: '/elsewhere' }).end();
    }, user);

    await readVerified(server.repository, blob.descriptor);

    expect(server.seen.at(-1)?.headers.authorization).toBeDefined();
  });

  it.each([
    ['in a circle', '/v2/web/again'],
    ['to another scheme', 'file:///etc/passwd'],
    ['to no URL', 'http://['],
  ])('%s are refused', async (_what, location) => {
    await using server = await startFaultServer((_request, response) => response.writeHead(302, { location }).end());

    await expect(server.repository.read(blob.descriptor)).rejects.toMatchObject({ code: 'REGISTRY_REDIRECT_REFUSED' });
    expect(server.seen.length).toBeLessThanOrEqual(6);
  });
});

describe('uploads', () => {
  it.each([
    ['relative', (_host: string) => '/upload/1?state=a%2Fb'],
    ['absolute', (host: string) => `http://${host}/upload/1?state=a%2Fb`],
  ])('go on at a %s location, whose query is kept', async (_what, location) => {
    let received = '';
    await using server = await startFaultServer((request, response) => {
      if (request.method === 'HEAD') return response.writeHead(404).end();
      if (request.method === 'POST') {
        return response.writeHead(202, { location: location(request.headers.host ?? '') }).end();
      }
      void buffer(request).then((bytes) => {
        received = bytes.toString();
        response.writeHead(201).end();
      });
    });

    await server.repository.write(blob.descriptor, streamOf(blob.bytes));

    expect(received).toBe('some bytes');
    expect(server.seen.at(-1)?.url).toBe(`/upload/1?state=a%2Fb&digest=${encodeURIComponent(blob.descriptor.digest)}`);
    expect(server.seen.at(-1)?.headers['content-length']).toBe('10');
  });

  it('send no credentials to a location on another host', async () => {
    await using storage = await startFaultServer((request, response) => {
      request.resume().on('end', () => response.writeHead(201).end());
    });
    await using server = await startFaultServer((request, response) => {
      if (request.headers.authorization === undefined) return challenge(response, 'Basic realm="x"');
      if (request.method === 'HEAD') return response.writeHead(404).end();
      response.writeHead(202, { location: `http://${storage.host}/upload` }).end();
    }, user);

    await server.repository.write(blob.descriptor, streamOf(blob.bytes));

    expect(storage.seen.map(({ headers }) => headers.authorization)).toEqual([undefined]);
  });

  it('report an early refusal, and let go of the stream', async () => {
    await using server = await startFaultServer((request, response) => {
      if (request.method === 'HEAD') return response.writeHead(404).end();
      if (request.method === 'POST') return response.writeHead(202, { location: '/upload' }).end();
      response.writeHead(403).end(json({ errors: [{ code: 'DENIED', message: 'quota is used up' }] }));
    });
    const content = streamOf(blob.bytes);

    const writing = server.repository.write(blob.descriptor, content);

    await expect(writing).rejects.toMatchObject({
      code: expect.stringMatching(/REGISTRY_DENIED|BLOB_DIGEST_MISMATCH/),
    });
    expect(content.destroyed).toBe(true);
  });
});

describe('what a registry says', () => {
  it('is in the error, without control characters, and without our password', async () => {
    await using server = await startFaultServer((request, response) => {
      if (request.headers.authorization === undefined) return challenge(response, 'Basic realm="x"');
      const message = `no \u001b[31m${request.headers.authorization}\r\n top-secret-password ${'x'.repeat(2000)}`;
      response.writeHead(400).end(json({ errors: [{ code: 'ODD', message }] }));
    }, user);

    const error: unknown = await server.repository.read(blob.descriptor).catch((reason: unknown) => reason);

    const shown = inspect(error, { depth: 10, showHidden: true });
    expect(shown).toContain('ODD');
    expect(shown).not.toContain('top-secret-password');
    expect(shown).not.toContain(Buffer.from('kiln:top-secret-password').toString('base64'));
    expect(shown).not.toContain('\u001b');
    expect(shown.length).toBeLessThan(3000);
  });

  it('never shows the query of a URL, and errors carry no trace of the request', async () => {
    await using server = await startFaultServer((request, response) => {
      if (request.headers.authorization === undefined) return challenge(response, 'Basic realm="x"');
      if (request.url?.startsWith('/signed')) return request.socket.destroy();
      response.writeHead(307, { location: '/signed?token=query-secret' }).end();
    }, user);

    const error: unknown = await server.repository.read(blob.descriptor).catch((reason: unknown) => reason);

    const shown = inspect(error, { depth: 10, showHidden: true });
    expect(shown).toContain('REGISTRY_UNREACHABLE');
    expect(shown).not.toContain('query-secret');
    expect(shown).not.toContain('Basic ');
  });

  it('reaches the user when it is a warning, once', async () => {
    await using server = await startFaultServer((_request, response) => {
      response.setHeader('warning', '299 - "this registry closes \\"soon\\""');
      response.end();
    });

    await server.repository.has(blob.descriptor);
    await server.repository.has(blob.descriptor);

    expect(server.warnings).toEqual([`${server.host}: this registry closes "soon"`]);
  });
});

describe('the token server a registry names', () => {
  it.each(['http://192.0.2.1/token', 'ftp://127.0.0.1/', 'nonsense', 'https://user:pass@example.com/token'])(
    'is refused when it is %s',
    async (realm) => {
      await using server = await startFaultServer(
        (_request, response) => challenge(response, `Bearer realm="${realm}"`),
        user,
      );

      await expect(server.repository.has(blob.descriptor)).rejects.toMatchObject({ code: 'REGISTRY_REALM_REFUSED' });
    },
  );

  it('must give a token that can be a header', async () => {
    await using server = await startFaultServer((request, response) => {
      if (request.url?.startsWith('/token')) return response.end(json({ token: 'a\r\nX-Injected: yes' }));
      challenge(response, `Bearer realm="http://${request.headers.host}/token",service="s"`);
    }, user);

    await expect(server.repository.has(blob.descriptor)).rejects.toMatchObject({ code: 'REGISTRY_UNEXPECTED_ANSWER' });
  });

  it('is not sent an identity token over a redirect', async () => {
    const credentials = { find: async () => ({ identityToken: 'long-lived' }) };
    await using server = await startFaultServer((request, response) => {
      if (request.url?.startsWith('/token')) return response.writeHead(307, { location: '/other' }).end();
      challenge(response, `Bearer realm="http://${request.headers.host}/token"`);
    }, credentials);

    await expect(server.repository.has(blob.descriptor)).rejects.toMatchObject({ code: 'REGISTRY_REDIRECT_REFUSED' });
  });
});

function challenge(response: ServerResponse, header: string): void {
  response.writeHead(401, { 'www-authenticate': header }).end();
}
