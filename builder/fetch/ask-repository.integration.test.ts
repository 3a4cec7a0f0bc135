import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { missing } from '../../test/requirements.ts';
import { openTestWorkshop, type TestWorkshop } from '../../test/workshop.ts';
import type { BuildOptions } from '../index.ts';
import { askNetwork } from '../lock/ask-network.ts';
import { buildFetch, type FetchBuild } from './fetch-build.testing.ts';
import { type GitServer, startGitServer } from './git-server.testing.ts';
import { askRef } from './repository-content.ts';

describe.skipIf(missing('overlay', 'root'))('asking a repository', () => {
  let bench: TestWorkshop;
  let server: GitServer;

  const fetch = (source: { url: string; ref?: string }, options: Partial<BuildOptions> = {}): Promise<FetchBuild> =>
    buildFetch(bench, { source: { kind: 'git', ...source }, to: '/src' }, { base: 'scratch', ...options });

  beforeAll(async () => {
    bench = await openTestWorkshop();
    server = await startGitServer();
  });
  afterAll(async () => {
    await server[Symbol.asyncDispose]();
    await bench[Symbol.asyncDispose]();
  });

  it('without lock file does not go back behind what an update asked for', async () => {
    const repository = await server.repository('updated.git');
    const question = { kind: 'git', key: `${repository.url}#main`, url: repository.url, ref: 'main' } as const;
    const build = { proxies: {}, secrets: { find: async () => undefined }, sshAgents: new Map() };
    const source = { url: repository.url, ref: 'main' };
    await repository.commit({ a: 'one' });
    await fetch(source);
    await repository.commit({ a: 'two' });

    await askNetwork(bench.workshop, question, { build, remember: false });
    const before = await fetch(source);
    await askNetwork(bench.workshop, question, { build, remember: true });
    const after = await fetch(source);

    expect(before.lines).toContain('file 644 0:0 1 src/a = one');
    expect(after.lines).toContain('file 644 0:0 1 src/a = two');
  });

  it('tells once that it fetches a commit, and only when it does', async () => {
    const repository = await server.repository('told.git');
    await repository.commit({ a: 'one' });
    const told = ({ events }: FetchBuild) =>
      events.filter((event) => event.type === 'status' && event.text.startsWith('fetching ')).length;

    const first = await fetch({ url: repository.url, ref: 'main' });
    const again = await fetch({ url: repository.url, ref: 'main' }, { noCache: true });

    expect([told(first), told(again)]).toEqual([1, 0]);
  });

  it('says all that git says about a host that is not there', async () => {
    const access = { proxies: {}, secrets: { find: async () => undefined }, sshAgents: new Map(), retryDelayMs: 1 };

    // Nothing listens on the first port.
    const asked = askRef(bench.workshop, { url: 'git://127.0.0.1:1/x' }, access);

    await expect(asked).rejects.toMatchObject({
      code: 'FETCH_GIT_FAILED',
      message: expect.stringMatching(/unable to connect to 127\.0\.0\.1: .*errno=Connection refused$/),
      hint: expect.stringContaining('network'),
    });
  });
});
