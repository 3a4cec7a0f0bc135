import { existsSync } from 'node:fs';
import { chmod, readdir, readFile, rename, symlink } from 'node:fs/promises';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { missing } from '../../test/requirements.ts';
import { openTestWorkshop, type TestWorkshop } from '../../test/workshop.ts';
import type { BuildOptions } from '../index.ts';
import { buildFetch, type FetchBuild, TestPins } from './fetch-build.testing.ts';
import { type GitServer, startGitServer, type TestRepository } from './git-server.testing.ts';
import { startServer } from './misbehaving-server.testing.ts';
import { askRef } from './repository-content.ts';

const base = 'scratch';
type Options = Partial<BuildOptions>;

describe.skipIf(missing('overlay', 'root'))('fetch of a repository', () => {
  let bench: TestWorkshop;
  let server: GitServer;
  let app: TestRepository;
  const commits: string[] = [];

  const fetch = (
    source: { url: string; ref?: string; subdir?: string },
    options: Options = {},
    checksum?: string,
  ): Promise<FetchBuild> =>
    buildFetch(
      bench,
      { source: { kind: 'git', ...source }, to: '/src', ...(checksum === undefined ? {} : { checksum }) },
      { base, ...options },
    );

  beforeAll(async () => {
    bench = await openTestWorkshop();
    server = await startGitServer();
    app = await server.repository('app.git');
    commits.push(await app.commit({ 'README.md': 'one', 'src/main.c': 'main', 'src/deep/x': 'x', 'tool.sh': 'tool' }));
    app.git('tag', '--annotate', '--message', 'first', 'v1');
    await chmod(path.join(app.folder, 'tool.sh'), 0o755);
    await symlink('/etc/passwd', path.join(app.folder, 'src/absolute'));
    await symlink('../../../x', path.join(app.folder, 'src/outside'));
    commits.push(await app.commit({ '.gitattributes': '*.md text eol=crlf filter=lfs\n', 'README.md': 'two\n' }));
  });
  afterAll(async () => {
    await server[Symbol.asyncDispose]();
    await bench[Symbol.asyncDispose]();
  });

  it('brings the files of HEAD as git stores them, without .git', async () => {
    const { lines } = await fetch({ url: app.url });

    expect(lines).toEqual([
      'directory 755 0:0 1 src',
      'file 644 0:0 1 src/.gitattributes = *.md text eol=crlf filter=lfs\n',
      'file 644 0:0 1 src/README.md = two\n',
      'directory 755 0:0 1 src/src',
      'symlink 777 0:0 1 src/src/absolute -> /etc/passwd',
      'directory 755 0:0 1 src/src/deep',
      'file 644 0:0 1 src/src/deep/x = x',
      'file 644 0:0 1 src/src/main.c = main',
      'symlink 777 0:0 1 src/src/outside -> ../../../x',
      'file 755 0:0 1 src/tool.sh = tool',
    ]);
  });

  it.each([
    ['an annotated tag', 'v1', 'one'],
    ['a branch', 'main', 'two\n'],
    ['a full ref', 'refs/heads/main', 'two\n'],
  ])('resolves %s', async (_, ref, text) => {
    expect((await fetch({ url: app.url, ref })).lines).toContain(`file 644 0:0 1 src/README.md = ${text}`);
  });

  it('takes a commit, and a folder of it; a commit with the same files is the same layer', async () => {
    const first = await fetch({ url: app.url, ref: commits[0] ?? '', subdir: 'src/deep' });
    const before = server.requests.length;
    const second = await fetch({ url: app.url, ref: commits[1] ?? '', subdir: '/src/deep/' });
    const requests = server.requests.length - before;
    const third = await fetch({ url: app.url, ref: commits[1] ?? '', subdir: 'src/deep' });

    expect(first.lines).toEqual(['directory 755 0:0 1 src', 'file 644 0:0 1 src/x = x']);
    expect(second.cached).toBe(1);
    expect(third.cached).toBe(1);
    // The second commit was here already: HEAD of the first test.
    expect(requests).toBe(0);
    expect(second.image.layers).toEqual(first.image.layers);
  });

  it('asks nobody when the pins know, and keeps what it asked for', async () => {
    const repository = await server.repository('pins.git');
    const one = await repository.commit({ a: 'one' });
    const pins = new TestPins();
    const first = await fetch({ url: repository.url, ref: 'main' }, { pins });
    await repository.commit({ a: 'two' });
    const before = server.requests.length;

    const held = await fetch({ url: repository.url, ref: 'main' }, { pins, noCache: true });
    const requests = server.requests.length - before;
    const moved = await fetch({ url: repository.url, ref: 'main' }, { pins, pull: true });

    expect(pins.kept[0]).toEqual(['git', `${repository.url}#main`, one]);
    expect(requests).toBe(0);
    expect(held.lines).toEqual(first.lines);
    expect(moved.lines).toContain('file 644 0:0 1 src/a = two');
    expect(pins.kept).toHaveLength(2);
  });

  it('without lock file uses the commit it found, until it is to ask again', async () => {
    const repository = await server.repository('moving.git');
    await repository.commit({ a: 'one' });
    await fetch({ url: repository.url });
    await repository.commit({ a: 'two' });

    expect((await fetch({ url: repository.url })).cached).toBe(1);
    expect((await fetch({ url: repository.url }, { pull: true })).lines).toContain('file 644 0:0 1 src/a = two');
  });

  it('compares a checksum with the commit of the ref', async () => {
    const repository = await server.repository('checked.git');
    const one = await repository.commit({ a: 'one' });
    const two = await repository.commit({ a: 'two' });

    await expect(fetch({ url: repository.url, ref: 'main' }, {}, one)).rejects.toMatchObject({
      code: 'FETCH_CHECKSUM',
      message: `main of ${repository.url} is the commit ${two}, and ${one} was expected`,
      position: { line: 3 },
    });
    await expect(fetch({ url: repository.url, ref: one }, {}, two)).rejects.toMatchObject({ code: 'FETCH_CHECKSUM' });
    expect((await fetch({ url: repository.url, ref: 'main' }, {}, two)).lines).toContain('file 644 0:0 1 src/a = two');
  });

  it.each([
    ['a ref that is not there', { ref: 'nothing' }, 'FETCH_GIT_REF_NOT_FOUND'],
    ['part of a commit', { ref: 'abcdef1' }, 'FETCH_GIT_REF_NOT_FOUND'],
    ['a commit that is not there', { ref: 'a'.repeat(40) }, 'FETCH_GIT_COMMIT_NOT_FOUND'],
    ['a folder that is not there', { subdir: 'nowhere' }, 'FETCH_GIT_SUBDIR_NOT_FOUND'],
    ['a file as folder', { subdir: 'README.md/x' }, 'FETCH_GIT_SUBDIR_NOT_FOUND'],
    ['a link as folder', { subdir: 'src/absolute' }, 'FETCH_GIT_SUBDIR_NOT_FOUND'],
    ['a ref that is an option', { ref: '--upload-pack=touch x' }, 'FETCH_GIT_REF'],
    ['a folder that leads out', { subdir: '../../etc' }, 'FETCH_GIT_SUBDIR'],
  ])('says what is wrong with %s', async (_, source, code) => {
    await expect(fetch({ url: app.url, ...source })).rejects.toMatchObject({ code, position: { line: 3 } });
  });

  it.each([
    'ext::sh -c touch% PLACE/touched',
    '--upload-pack=touch PLACE/touched',
    '-cprotocol.ext.allow=always',
    'file://PLACE/home',
    'PLACE/home',
    'ssh://-oProxyCommand=touch%20PLACE%2Ftouched/x.git',
    'git@-oProxyCommand=touch:x',
    'https://127.0.0.1:1/x\n[core]\nfsmonitor=touch.git',
  ])('runs nothing for %j', async (url) => {
    await expect(fetch({ url: url.replaceAll('PLACE', bench.context) })).rejects.toMatchObject({
      code: 'FETCH_GIT_URL',
    });
    expect(existsSync(path.join(bench.context, 'touched'))).toBe(false);
  });

  it('says that a repository is not there', async () => {
    await expect(fetch({ url: `${server.origin}/none.git` })).rejects.toMatchObject({ code: 'FETCH_GIT_NOT_FOUND' });
  });

  it('fetches all branches from a server that gives no single commits', async () => {
    await using old = await startGitServer({ config: [['protocol.version', '0']] });
    const repository = await old.repository('old.git');
    const one = await repository.commit({ a: 'one' });
    await repository.commit({ a: 'two' });

    expect((await fetch({ url: repository.url, ref: one })).lines).toContain('file 644 0:0 1 src/a = one');
  });

  it('wants an agent for ssh', async () => {
    await expect(fetch({ url: 'git@127.0.0.1:x.git' })).rejects.toMatchObject({
      code: 'FETCH_SSH_AGENT',
      hint: expect.stringContaining('--ssh default'),
    });
  });

  it('gives a secret to the host that asks for it, and says it nowhere', async () => {
    const header = `Basic ${Buffer.from('x-access-token:hush').toString('base64')}`;
    await using closed = await startGitServer({ authorization: header });
    const repository = await closed.repository('private.git');
    await repository.commit({ a: 'secret stuff' });
    const secrets = {
      find: async (id: string) => (id === 'GIT_AUTH_TOKEN.127.0.0.1' ? Buffer.from('hush\n') : undefined),
    };

    await expect(fetch({ url: repository.url })).rejects.toMatchObject({ code: 'FETCH_GIT_DENIED' });
    const { lines, events } = await fetch({ url: repository.url }, { secrets });

    expect(lines).toContain('file 644 0:0 1 src/a = secret stuff');
    expect(JSON.stringify(events)).not.toMatch(/hush|eC1hY2Nlc3M/);
    for (const entry of await readdir(path.join(bench.home, 'git'), { recursive: true, withFileTypes: true })) {
      if (!entry.isFile() || entry.name.startsWith('pack-')) continue;
      expect(await readFile(path.join(entry.parentPath, entry.name), 'latin1')).not.toMatch(/hush|eC1hY2Nlc3M/);
    }
  });

  it('is called off at once, and leaves no git running', async () => {
    const controller = new AbortController();
    await using silent = await startServer(() => controller.abort(new Error('enough')));

    await expect(fetch({ url: `${silent.origin}/silent.git` }, { signal: controller.signal })).rejects.toThrow(
      'enough',
    );

    expect(await processesWith(silent.origin)).toEqual([]);
    expect((await readdir((await bench.workshop.scratch()).folder)).filter((name) => name.startsWith('git-'))).toEqual(
      [],
    );
  });

  it('ends a git that hears nothing', async () => {
    await using silent = await startServer(() => {});

    const asked = askRef(
      bench.workshop,
      { url: `${silent.origin}/silent.git` },
      { proxies: {}, secrets: { find: async () => undefined }, sshAgents: new Map(), stallMs: 300, retryDelayMs: 1 },
    );

    await expect(asked).rejects.toMatchObject({ code: 'FETCH_STALLED' });
    expect(await processesWith(silent.origin)).toEqual([]);
  });

  describe('with submodules', () => {
    let lib: TestRepository;
    let libCommit: string;
    beforeAll(async () => {
      lib = await server.repository('lib.git');
      const inner = await server.repository('inner.git');
      const innerCommit = await inner.commit({ 'inner.txt': 'inner' });
      await lib.commit({ 'lib.c': 'lib' });
      addSubmodule(lib, { path: 'deps/inner', url: '../inner.git', commit: innerCommit });
      libCommit = lib.commitStaged();
    });

    /** As `git submodule add` would, which refuses what these tests are about. */
    function addSubmodule(to: TestRepository, module: { path: string; url: string; commit: string }): void {
      to.git('config', '--file', '.gitmodules', `submodule.${module.path}.path`, module.path);
      to.git('config', '--file', '.gitmodules', `submodule.${module.path}.url`, module.url);
      to.git('add', '.gitmodules');
      to.git('update-index', '--add', '--cacheinfo', `160000,${module.commit},${module.path}`);
    }

    async function withSubmodule(name: string, url: string): Promise<TestRepository> {
      const repository = await server.repository(name);
      addSubmodule(repository, { path: 'deps/lib', url, commit: libCommit });
      repository.commitStaged();
      return repository;
    }

    it('brings those too, and theirs, from relative addresses', async () => {
      const top = await withSubmodule('top.git', '../lib.git');

      const { lines } = await fetch({ url: top.url });
      const part = await fetch({ url: top.url, subdir: 'deps/lib/deps' });

      expect(lines).toContain('file 644 0:0 1 src/deps/lib/lib.c = lib');
      expect(lines).toContain('file 644 0:0 1 src/deps/lib/deps/inner/inner.txt = inner');
      expect(part.lines).toEqual([
        'directory 755 0:0 1 src',
        'directory 755 0:0 1 src/inner',
        'file 644 0:0 1 src/inner/inner.txt = inner',
      ]);
    });

    it.each([
      ['file:///etc/x.git', 'FETCH_GIT_URL'],
      ['/srv/x.git', 'FETCH_GIT_URL'],
      ['ext::sh -c touch% x', 'FETCH_GIT_URL'],
      ['--upload-pack=touch x', 'FETCH_GIT_URL'],
      ['../../../../etc', 'FETCH_GIT_URL'],
      ['git://127.0.0.1/x', 'FETCH_GIT_SUBMODULE'],
    ])('refuses one at %s', async (url, code) => {
      const name = `hostile-${Buffer.from(url).toString('hex')}.git`;
      const repository = await withSubmodule(name, url);

      await expect(fetch({ url: repository.url })).rejects.toMatchObject({ code });
    });

    it('sends a secret that names no host only to the one that the Buildfile names', async () => {
      await using other = await startServer((_request, response) => response.writeHead(401).end());
      const repository = await withSubmodule('elsewhere.git', `${other.origin}/x.git`);
      const secrets = { find: async (id: string) => (id === 'GIT_AUTH_TOKEN' ? Buffer.from('hush') : undefined) };

      await expect(fetch({ url: repository.url }, { secrets })).rejects.toMatchObject({ code: 'FETCH_GIT_DENIED' });

      expect(server.requests.at(-1)?.authorization).toMatch(/^Basic /);
      expect(other.asked.map(({ headers }) => headers.authorization)).not.toContainEqual(expect.anything());
    });

    it('sends no secret where a redirect leads', async () => {
      await using other = await startServer((_request, response) => response.writeHead(404).end());
      await using first = await startServer((request, response) => {
        response.writeHead(302, { location: `${other.origin}${request.url}` }).end();
      });
      const secrets = { find: async (id: string) => (id === 'GIT_AUTH_TOKEN' ? Buffer.from('hush') : undefined) };

      await expect(fetch({ url: `${first.origin}/x.git` }, { secrets })).rejects.toThrow();

      expect(first.asked[0]?.headers.authorization).toMatch(/^Basic /);
      expect(other.asked).toEqual([]);
    });

    it('leaves an empty folder for one that is not described', async () => {
      const repository = await server.repository('gitlink.git');
      repository.git('update-index', '--add', '--cacheinfo', `160000,${libCommit},unknown`);
      repository.commitStaged();

      expect((await fetch({ url: repository.url })).lines).toEqual([
        'directory 755 0:0 1 src',
        'directory 755 0:0 1 src/unknown',
      ]);
    });
  });

  it('refuses a tree that would write into .git or out of the folder', async () => {
    const repository = await server.repository('evil.git');
    await repository.commit({ a: 'x' });
    for (const name of ['.git', '..', '.GIT']) {
      const blob = repository.git('rev-parse', 'HEAD:a');
      const inner = mktree(repository, `100755 blob ${blob}\thook`);
      const commit = repository.git('commit-tree', '-m', 'evil', mktree(repository, `040000 tree ${inner}\t${name}`));
      repository.git(
        'push',
        '--quiet',
        '--force',
        path.join(repository.folder, '../../served/evil.git'),
        `${commit}:refs/heads/evil`,
      );

      await expect(fetch({ url: repository.url, ref: commit }), name).rejects.toMatchObject({
        code: expect.stringMatching(/^FETCH_GIT_(TREE|FAILED)$/),
      });
    }
  });

  it('makes a mirror again that was pruned', async () => {
    const repository = await server.repository('damaged.git');
    const commit = await repository.commit({ a: 'x' });
    await fetch({ url: repository.url, ref: commit });
    const mirrors = path.join(bench.home, 'git');
    await rename(mirrors, `${mirrors}-away`);

    const again = await buildFetch(
      bench,
      { source: { kind: 'git', url: repository.url, ref: commit }, to: '/elsewhere' },
      { base },
    );

    expect(again.lines.at(-1)).toBe('file 644 0:0 1 elsewhere/a = x');
  });
});

/** git mktree reads from its input. */
function mktree(repository: TestRepository, line: string): string {
  return repository.git('-c', `alias.tree=!printf '%s\\n' '${line}' | git mktree --missing`, 'tree');
}

/** Command lines of processes that mention `text`; git's own children take a moment to be gone after it. */
async function processesWith(text: string): Promise<string[]> {
  for (let attempt = 0; ; attempt++) {
    const found: string[] = [];
    for (const pid of await readdir('/proc')) {
      if (!/^\d+$/.test(pid)) continue;
      const line = await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '');
      if (line.includes(text)) found.push(line.replaceAll('\0', ' '));
    }
    if (found.length === 0 || attempt > 100) return found;
    await new Promise(setImmediate);
  }
}
