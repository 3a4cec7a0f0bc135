import { createServer, type Server } from 'node:http';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type Digest, formatPlatform, parseReference, platformOf, sha256 } from '../../core/index.ts';
import { addBase } from '../../fixtures/bases/base-layout.ts';
import { busyboxBase } from '../../fixtures/bases/busybox-base.ts';
import { copyImage } from '../../registry/index.ts';
import { type DockerRegistry, startDockerRegistry } from '../../test/docker-registry.ts';
import { missing } from '../../test/requirements.ts';
import { openTestWorkshop, type TestWorkshop } from '../../test/workshop.ts';
import { parseIgnoreFile } from '../buildfile/ignore.ts';
import type { BuildEvent } from '../events.ts';
import { planBuildfile } from '../plan/make-plan.ts';
import type { Plan } from '../plan/plan.ts';
import { changed, emptyLock, type LockContent } from './lock-content.ts';
import { findOutdated, type RefreshOptions, refreshLock } from './refresh.ts';

const platform = platformOf(process.arch);

let registry: DockerRegistry;
let bench: TestWorkshop;
let server: Server;
let page: { body: string; asked: string[] };
let names: { readonly base: string; readonly tool: string; readonly url: string };
let events: BuildEvent[];

describe.skipIf(missing('root', 'busybox', 'docker-registry'))('a lock file that is asked for again', () => {
  beforeEach(async () => {
    [registry, bench] = await Promise.all([startDockerRegistry(), openTestWorkshop()]);
    page = { body: 'first\n', asked: [] };
    events = [];
    server = createServer((request, response) => {
      page.asked.push(String(request.headers['if-none-match']));
      const etag = `"${sha256(page.body)}"`;
      response.writeHead(request.headers['if-none-match'] === etag ? 304 : 200, { etag });
      response.end(request.headers['if-none-match'] === etag ? undefined : page.body);
    });
    const { promise, resolve } = Promise.withResolvers<void>();
    server.listen(0, '127.0.0.1', resolve);
    await promise;
    const address = server.address();
    const port = typeof address === 'object' ? address?.port : undefined;
    names = {
      base: `${registry.host}/base:1`,
      tool: `${registry.host}/tool:1`,
      url: `http://127.0.0.1:${port}/page`,
    };
  });
  afterEach(async () => {
    server.closeAllConnections();
    server.close();
    await bench[Symbol.asyncDispose]();
    await registry[Symbol.asyncDispose]();
  });

  it('is filled when it is empty, is current then, and moves with what it asks', async () => {
    const [base, tool] = [await publish('base', '1'), await publish('tool', '1')];

    const { content, moves } = await refresh(emptyLock);
    // Answers come in any order.
    expect(content.images).toEqual(
      new Map([
        [names.base, base],
        [names.tool, tool],
      ]),
    );
    expect(content.urls.get(names.url)).toBe(sha256('first\n'));
    expect(moves.map(({ key, isNew }) => `${key} ${isNew}`).sort()).toEqual(
      [names.base, names.tool, names.url].map((key) => `${key} true`).sort(),
    );
    expect((await outdated(content)).moves).toEqual([]);
    expect(page.asked).toEqual(['undefined', `"${sha256('first\n')}"`]);

    page.body = 'second\n';
    const moved = await publish('tool', '2');
    const expected = [
      { kind: 'images', key: names.tool, from: tool, to: moved },
      { kind: 'urls', key: names.url, from: sha256('first\n'), to: sha256('second\n') },
    ];
    expect((await outdated(content)).moves).toEqual(expected);
    const updated = await refresh(content);
    expect(updated.moves).toEqual(expected);
    expect(updated.content.images.get(names.base)).toBe(base);
    expect((await refresh(updated.content)).moves).toEqual([]);
  });

  it('moves only where it is wanted, and drops what nothing asks for, of these platforms', async () => {
    const base = await publish('base', '1');
    await publish('tool', '1');
    const { content } = await refresh(emptyLock);
    const value = [{ name: 'a', version: '1', architecture: 'amd64', hash: 'x' }];
    const crowded = changed(content, [
      { kind: 'images', key: 'x.example/gone:1', value: base },
      { kind: 'packages', key: `apt:debian/12 ${formatPlatform(platform)} a on 00`, value },
      { kind: 'packages', key: 'apt:debian/12 linux/s390x a on 00', value },
    ]);
    await publish('base', '2');
    await publish('tool', '2');

    const some = await refresh(crowded, {
      isWanted: (question) => 'key' in question && question.key === names.tool,
      prune: false,
    });
    const pruned = await refresh(crowded);

    expect(some.moves.map(({ key }) => key)).toEqual([names.tool]);
    expect(pruned.moves.map(({ key, isUnused }) => `${key} ${isUnused === true}`)).toEqual([
      `${names.base} false`,
      `${names.tool} false`,
      'x.example/gone:1 true',
      `apt:debian/12 ${formatPlatform(platform)} a on 00 true`,
    ]);
    expect([...pruned.content.packages.keys()]).toEqual(['apt:debian/12 linux/s390x a on 00']);
    expect((await outdated(crowded)).moves.map(({ key }) => key)).toEqual([names.base, names.tool]);
  });

  it('tells what cannot be asked and goes on, or fails when it is to be written', async () => {
    await publish('base', '1');
    await publish('tool', '1');
    const { content } = await refresh(emptyLock);
    await publish('tool', '2');
    server.closeAllConnections();
    server.close();

    const found = await outdated(content);

    expect(found.moves.map(({ key }) => key)).toEqual([names.tool]);
    expect(found.troubles).toMatchObject([
      { kind: 'urls', key: names.url, error: { code: expect.stringMatching(/^FETCH_/) } },
    ]);
    await expect(refresh(content)).rejects.toMatchObject({ code: expect.stringMatching(/^FETCH_/) });
  });

  it('has no place for an image that is only here', async () => {
    await addBase(bench.workshop.content, `${registry.host}/base:1`, busyboxBase());
    await publish('tool', '1');

    const { content } = await refresh(emptyLock);

    expect([...content.images.keys()]).toEqual([names.tool]);
  });

  it('tells each question as a part of its own', async () => {
    await publish('base', '1');
    await publish('tool', '1');

    await refresh(emptyLock);

    const started = events.flatMap((event) => (event.type === 'start' ? [event.vertex] : []));
    expect(started.map(({ title }) => title).sort()).toEqual(
      [names.base, names.tool, names.url].map((key) => `ASK ${key}`).sort(),
    );
    expect(new Set(started.map(({ id }) => id)).size).toBe(3);
  });
});

function refresh(content: LockContent, more: Partial<RefreshOptions> = {}) {
  return refreshLock([plan()], bench.workshop, { ...options(content), ...more });
}

function outdated(content: LockContent) {
  return findOutdated([plan()], bench.workshop, options(content));
}

function plan(): Plan {
  const text = `from = "${names.base}"
steps = [{ copy = "/bin/busybox", from = "${names.tool}", to = "/tool" }]`;
  const made = planBuildfile(text, 'Buildfile', {
    targets: 'all',
    args: new Map(),
    platform,
    buildPlatform: platform,
    baseFolder: bench.context,
  });
  // A Buildfile may not fetch without TLS and without a checksum; the server of this test has no certificate.
  const position = { file: 'Buildfile', line: 3, column: 1 };
  const fetch = {
    verb: 'fetch',
    source: { kind: 'http', url: names.url },
    to: '/page',
    unpack: false,
    position,
  } as const;
  return { ...made, stages: made.stages.map((stage) => ({ ...stage, steps: [...stage.steps, fetch] })) };
}

function options(content: LockContent): RefreshOptions {
  return {
    content,
    isWanted: () => true,
    prune: true,
    contextFolder: bench.context,
    buildfile: `${bench.context}/Buildfile`,
    ignore: parseIgnoreFile(''),
    noCache: false,
    pull: false,
    jobs: 2,
    network: 'none',
    proxies: {},
    secrets: { find: async () => undefined },
    sshAgents: new Map(),
    limits: {},
    onEvent: (event) => events.push(event),
  };
}

/** Another image under a name of the registry, at the registry alone. */
async function publish(name: string, version: string): Promise<Digest> {
  const { content } = bench.workshop;
  const scratchName = `localhost/${name}-${version}:1`;
  const image = await addBase(content, scratchName, busyboxBase(), {
    platform,
    config: { Env: [`VERSION=${name}${version}`] },
  });
  const repository = bench.workshop.repository(parseReference(`${registry.host}/${name}:1`));
  await copyImage(content, repository, image);
  await repository.tag(image, '1');
  await content.untag(scratchName);
  return image.digest;
}
