import type { IncomingMessage, ServerResponse } from 'node:http';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type Descriptor, errorCode, mediaTypes, sha256, streamOf } from '../../core/index.ts';
import { blobOf } from '../content-suite.ts';
import { listRepositories } from './catalog.ts';
import { type FaultServer, startFaultServer } from './fault-server.ts';

const subject = sha256('the image');
const credentials = { find: async () => undefined };

async function all(entries: AsyncIterable<string>): Promise<string[]> {
  const found: string[] = [];
  for await (const entry of entries) found.push(entry);
  return found;
}

/** Answers with one of the pages, by the number in `page`; each names the next. */
function pages(documents: readonly unknown[], headers: Readonly<Record<string, string>> = {}) {
  return (request: IncomingMessage, response: ServerResponse): void => {
    const url = new URL(request.url ?? '', 'http://registry.invalid');
    const at = Number(url.searchParams.get('page') ?? 0);
    if (at + 1 < documents.length) response.setHeader('link', `<${url.pathname}?page=${at + 1}>; rel="next"`);
    for (const [name, value] of Object.entries(headers)) response.setHeader(name, value);
    response.end(JSON.stringify(documents[at]));
  };
}

describe('the tags of a repository', () => {
  it('are those of all pages, each once, in the order they come', async () => {
    await using server = await startFaultServer(pages([{ tags: ['b', 'a'] }, { tags: ['a', 'c'] }, { tags: null }]));

    expect(await all(server.repository.tags())).toEqual(['b', 'a', 'c']);
    expect(server.seen.map(({ url }) => url)).toEqual([
      '/v2/web/tags/list?n=1000',
      '/v2/web/tags/list?page=1',
      '/v2/web/tags/list?page=2',
    ]);
  });

  it('are asked of this registry only, wherever a link points', async () => {
    await using elsewhere = await startFaultServer((_request, response) => response.end('{"tags":["stolen"]}'));
    await using server = await startFaultServer((request, response) => {
      const isFirst = !request.url?.includes('last=a');
      if (isFirst) response.setHeader('link', `<http://${elsewhere.host}/v2/other/tags/list?last=a>; rel="next"`);
      response.end(JSON.stringify({ tags: [isFirst ? 'a' : 'b'] }));
    });

    expect(await all(server.repository.tags())).toEqual(['a', 'b']);
    expect(elsewhere.seen).toEqual([]);
    expect(server.seen.map(({ url }) => url)).toEqual(['/v2/web/tags/list?n=1000', '/v2/web/tags/list?last=a']);
  });

  it('begin after the one that is named', async () => {
    await using server = await startFaultServer((_request, response) => response.end('{"tags":["c"]}'));

    expect(await all(server.repository.tags({ last: 'b' }))).toEqual(['c']);
    expect(server.seen[0]?.url).toBe('/v2/web/tags/list?n=1000&last=b');
    await expect(all(server.repository.tags({ last: '../x' }))).rejects.toMatchObject({ code: 'REFERENCE_INVALID' });
  });

  it('are asked for again where a full page comes without a link', async () => {
    const tags = Array.from({ length: 2500 }, (_, at) => `t${String(at).padStart(5, '0')}`);
    await using server = await startFaultServer((request, response) => {
      const last = new URL(request.url ?? '', 'http://registry.invalid').searchParams.get('last') ?? '';
      response.end(JSON.stringify({ tags: tags.filter((tag) => tag > last).slice(0, 1000) }));
    });

    expect(await all(server.repository.tags())).toEqual(tags);
    expect(server.seen).toHaveLength(3);
  });

  it('end where a registry that knows no pages has exactly as many as one holds', async () => {
    const tags = Array.from({ length: 1000 }, (_, at) => `t${at}`);
    await using server = await startFaultServer((_request, response) => response.end(JSON.stringify({ tags })));

    expect(await all(server.repository.tags())).toEqual(tags);
    expect(server.seen).toHaveLength(2);
  });

  it.each([
    ['to itself', () => '</v2/web/tags/list?n=1000>; rel="next"'],
    ['to and fro', (turn: number) => `</v2/web/tags/list?turn=${turn % 2}>; rel="next"`],
  ])('are not asked for forever when the list leads %s', async (_where, link) => {
    await using server = await startFaultServer((_request, response, turn) => {
      response.setHeader('link', link(turn));
      response.end('{"tags":["a"]}');
    });

    await expect(all(server.repository.tags())).rejects.toMatchObject({
      code: 'REGISTRY_UNEXPECTED_ANSWER',
      message: expect.stringContaining('circles'),
    });
    expect(server.seen.length).toBeLessThan(5);
  });

  it('are not read on when a page never ends', async () => {
    await using server = await startFaultServer((_request, response) => {
      const more = () => {
        while (!response.destroyed && response.write(Buffer.alloc(65_536, ' '))) {}
      };
      response.on('drain', more);
      more();
    });

    await expect(all(server.repository.tags())).rejects.toMatchObject({ code: 'REGISTRY_UNEXPECTED_ANSWER' });
  });

  it('are missing with the repository', async () => {
    await using server = await startFaultServer((_request, response) => response.writeHead(404).end());

    await expect(all(server.repository.tags())).rejects.toMatchObject({ code: 'REFERENCE_NOT_FOUND' });
  });

  it('are tags or nothing, whatever the registry sends', async () => {
    let body = '';
    await using server = await startFaultServer((_request, response) => response.end(body));

    await fc.assert(
      fc.asyncProperty(
        fc.oneof(
          fc.json(),
          fc.string(),
          fc.array(fc.jsonValue()).map((tags) => JSON.stringify({ tags })),
        ),
        async (text) => {
          body = text;
          try {
            const found = await all(server.repository.tags());
            expect(found.every((tag) => /^\w[\w.-]{0,127}$/.test(tag))).toBe(true);
          } catch (error) {
            if (errorCode(error) !== 'REGISTRY_UNEXPECTED_ANSWER') throw error;
          }
        },
      ),
      { numRuns: 150 },
    );
  });
});

describe('the repositories of a registry', () => {
  const list = (server: FaultServer) => all(listRepositories(server.host, { credentials }));

  it('are those of all pages that can be a repository’s name', async () => {
    await using server = await startFaultServer(
      pages([{ repositories: ['a', 'team/b', '../x', 'UPPER', 7] }, { repositories: ['a', 'c'] }]),
    );

    expect(await list(server)).toEqual(['a', 'team/b', 'c']);
  });

  it.each([404, 405])('are not to be had where the registry answers %i', async (status) => {
    await using server = await startFaultServer((_request, response) => response.writeHead(status).end());

    await expect(list(server)).rejects.toMatchObject({ code: 'REGISTRY_NO_CATALOG' });
  });

  it('are shown to whoever may see them', async () => {
    await using server = await startFaultServer((_request, response) => response.writeHead(403).end());

    await expect(list(server)).rejects.toMatchObject({
      code: 'REGISTRY_DENIED',
      hint: expect.stringContaining('kiln login'),
    });
  });
});

describe('what refers to a manifest, by the registry’s API', () => {
  const entry = (mark: string, artifactType: string): Descriptor => ({
    mediaType: mediaTypes.manifest,
    digest: sha256(mark),
    size: mark.length,
    artifactType,
  });
  const index = (...manifests: readonly unknown[]) => ({ schemaVersion: 2, mediaType: mediaTypes.index, manifests });
  const isIndex = { 'content-type': mediaTypes.index };
  const [one, two, three] = [entry('one', 'a/sbom'), entry('two', 'a/sig'), entry('three', 'a/sbom')];

  it('is told in pages', async () => {
    await using server = await startFaultServer(pages([index(one), index(two, one), index(three)], isIndex));

    expect(await server.repository.referrers(subject)).toEqual([one, two, three]);
    expect(server.seen[0]?.url).toBe(`/v2/web/referrers/${subject}`);
    expect(server.seen[0]?.headers.accept).toBe(mediaTypes.index);
  });

  it('is asked for by type, and chosen here where the registry did not', async () => {
    await using server = await startFaultServer(pages([index(one, two, three)], isIndex));

    expect(await server.repository.referrers(subject, { artifactType: 'a/sbom' })).toEqual([one, three]);
    expect(server.seen[0]?.url).toBe(`/v2/web/referrers/${subject}?artifactType=a%2Fsbom`);
  });

  it('is taken as it comes where the registry says that it chose', async () => {
    const { artifactType: _left, ...bare } = one;
    const filtered = { ...isIndex, 'oci-filters-applied': 'artifactType' };
    await using server = await startFaultServer(pages([index(bare)], filtered));

    expect(await server.repository.referrers(subject, { artifactType: 'a/sbom' })).toEqual([bare]);
  });

  it.each([
    ['404', 404, {}],
    ['405', 405, {}],
    ['a page for people', 200, { 'content-type': 'text/html' }],
  ])('is looked for under a tag where the answer is %s', async (_what, status, headers) => {
    await using server = await startFaultServer((request, response) => {
      const isApi = request.url?.includes('/referrers/');
      response.writeHead(isApi ? status : 404, isApi ? headers : {}).end('<html></html>');
    });

    expect(await server.repository.referrers(subject)).toEqual([]);
    expect(server.seen.at(-1)?.url).toBe(`/v2/web/manifests/${subject.replace(':', '-')}`);
  });

  it('is not “nothing” when the registry has a problem', async () => {
    await using server = await startFaultServer((_request, response) => response.writeHead(403).end());

    await expect(server.repository.referrers(subject)).rejects.toMatchObject({ code: 'REGISTRY_DENIED' });
  });

  it('are descriptors, or the list is refused, whatever the registry sends', async () => {
    let body = '';
    await using server = await startFaultServer((_request, response) => {
      response.setHeader('content-type', mediaTypes.index);
      response.end(body);
    });
    const entries = fc.array(
      fc.oneof(
        fc.jsonValue(),
        fc.constant(one),
        fc.record({ mediaType: fc.string(), digest: fc.constant(subject), size: fc.integer() }),
      ),
    );

    await fc.assert(
      fc.asyncProperty(
        fc.oneof(
          fc.string(),
          fc.json(),
          entries.map((list) => JSON.stringify(index(...list))),
        ),
        async (text) => {
          body = text;
          try {
            const found = await server.repository.referrers(subject);
            expect(found.every(({ digest, size }) => digest.startsWith('sha256:') && size >= 0)).toBe(true);
          } catch (error) {
            expect([
              'REGISTRY_UNEXPECTED_ANSWER',
              'DESCRIPTOR_INVALID',
              'DIGEST_INVALID',
              'PLATFORM_INVALID',
            ]).toContain(errorCode(error));
          }
        },
      ),
      { numRuns: 150 },
    );
  });
});

describe('deleting', () => {
  it.each([
    ['405', 405, ''],
    ['400 as Docker’s registry', 400, '{"errors":[{"code":"DIGEST_INVALID","message":"x"}]}'],
    ['400 UNSUPPORTED', 400, '{"errors":[{"code":"UNSUPPORTED","message":"x"}]}'],
  ])('a tag where the registry cannot (%s) says what can be done', async (_what, status, body) => {
    await using server = await startFaultServer((_request, response) => response.writeHead(status).end(body));

    await expect(server.repository.remove('old')).rejects.toMatchObject({
      code: 'REGISTRY_CANNOT_DELETE',
      hint: expect.stringContaining('by its digest'),
    });
  });

  it('a blob where the registry does not allow it says who can', async () => {
    await using server = await startFaultServer((_request, response) => response.writeHead(405).end());

    await expect(server.repository.removeBlob(subject)).rejects.toMatchObject({ code: 'REGISTRY_CANNOT_DELETE' });
  });

  it('never makes another path of a name', async () => {
    await using server = await startFaultServer((_request, response) => response.writeHead(202).end());

    await expect(server.repository.remove('../../other/manifests/x')).rejects.toMatchObject({
      code: 'REFERENCE_INVALID',
    });
    expect(server.seen).toEqual([]);
  });
});

describe('a manifest', () => {
  const manifest = blobOf(
    JSON.stringify({ schemaVersion: 2, mediaType: mediaTypes.manifest, config: blobOf('{}').descriptor, layers: [] }),
    mediaTypes.manifest,
  );
  const unknown = '{"errors":[{"code":"MANIFEST_BLOB_UNKNOWN","message":"blob unknown to registry"}]}';

  it('is sent again where the registry does not know a blob yet that was just written', async () => {
    await using server = await startFaultServer((_request, response, turn) => {
      if (turn < 3) response.writeHead(400).end(unknown);
      else response.writeHead(201, { 'oci-subject': subject }).end();
    });

    await server.repository.write(manifest.descriptor, streamOf(manifest.bytes));

    expect(server.seen.map(({ method }) => method)).toEqual(['PUT', 'PUT', 'PUT']);
  });

  it('is not sent forever', async () => {
    await using server = await startFaultServer((_request, response) => response.writeHead(400).end(unknown));

    await expect(server.repository.write(manifest.descriptor, streamOf(manifest.bytes))).rejects.toThrow(
      'MANIFEST_BLOB_UNKNOWN',
    );
    expect(server.seen).toHaveLength(3);
  });
});
