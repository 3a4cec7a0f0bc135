import { spawnSync } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type GitServer, startGitServer } from '../../builder/fetch/git-server.testing.ts';
import { type MisbehavingServer, startServer } from '../../builder/fetch/misbehaving-server.testing.ts';
import { sha256 } from '../../core/index.ts';
import { accountKinds } from '../account.ts';
import { missing } from '../requirements.ts';
import { busyboxProject, type Kiln, openKiln } from './kiln.ts';

const needs = ['busybox', 'unprivileged-user', 'overlay'] as const;

describe.skipIf(missing(...needs))('fetch', () => {
  let web: MisbehavingServer;
  let git: GitServer;
  let archive: Buffer;
  let buildfile: string;
  beforeAll(async () => {
    const folder = await mkdtemp(path.join(tmpdir(), 'kiln-e2e-fetch-'));
    const script =
      'mkdir app && printf tool > app/tool && chmod 4755 app/tool && ln -s tool app/link && touch -h -d @7 app/* app && tar --owner=1234 -czf app.tgz app';
    const made = spawnSync('sh', ['-ec', script], { cwd: folder, encoding: 'utf8' });
    if (made.status !== 0) throw new Error(made.stderr);
    archive = await readFile(path.join(folder, 'app.tgz'));
    await rm(folder, { recursive: true });
    web = await startServer((request, response, turn) => {
      if (request.url !== '/app.tgz') return void response.writeHead(404).end();
      // The first answer breaks off.
      if (turn !== 1)
        return void response.writeHead(200, { 'content-length': archive.length, etag: '"1"' }).end(archive);
      response.writeHead(200, { 'content-length': archive.length, etag: '"1"' });
      response.write(archive.subarray(0, 20), () => response.destroy());
    });
    git = await startGitServer();
    const repository = await git.repository('lib.git');
    const commit = await repository.commit({ 'README.md': 'read me', 'src/main.c': 'int main;' });
    buildfile = `
from = "scratch"
steps = [
  { copy = "busybox", to = "/bin/busybox", mode = "0755" },
  { fetch = "${web.origin}/app.tgz", checksum = "${sha256(archive)}", to = "/opt/" },
  { fetch = "${web.origin}/app.tgz", checksum = "${sha256(archive)}", unpack = true, to = "/srv", owner = "5:6" },
  { fetch = "${repository.url}#main:src", to = "/src" },
  { fetch = "${repository.url}#${commit}", to = "/all" },
]
`;
  });
  afterAll(async () => {
    await web[Symbol.asyncDispose]();
    await git[Symbol.asyncDispose]();
  });

  const build = async (kiln: Kiln, name: string): Promise<string> => {
    const context = busyboxProject(kiln.account, name, { Buildfile: buildfile });
    return (await kiln.ok(['build', '--progress', 'plain', '-t', `${name}:1`, context])).trim();
  };

  it.skipIf(missing('root'))('gives root and an ordinary user the same image', async () => {
    await using asRoot = await openKiln('root');
    await using asUser = await openKiln('unprivileged');

    const first = await build(asRoot, 'app');

    expect(first).toMatch(/^sha256:[0-9a-f]{64}$/);
    expect(await build(asUser, 'app')).toBe(first);
  });

  describe.each(accountKinds())('as %s', (kind) => {
    it('asks the network for nothing the second time, and locks what may move', async () => {
      await using kiln = await openKiln(kind);
      await build(kiln, 'app');
      const [files, commits] = [web.asked.length, git.requests.length];

      await build(kiln, 'app');
      const lock = await readFile(path.join(kiln.account.home, 'app/Buildfile.lock'), 'utf8');

      expect([web.asked.length, git.requests.length]).toEqual([files, commits]);
      expect(lock).toMatch(/^"http:.*lib\.git#main" = "[0-9a-f]{40}"$/m);
    });

    it('says where a fetch is written that cannot be carried out', async () => {
      await using kiln = await openKiln(kind);
      const context = busyboxProject(kiln.account, 'bad', {
        Buildfile: `from = "scratch"\nsteps = [\n  { fetch = "${web.origin}/app.tgz", checksum = "${sha256('x')}", to = "/" },\n]\n`,
      });
      await writeFile(path.join(context, 'note'), '');

      const outcome = await kiln.run(['build', context]);

      expect(outcome).toMatchObject({ status: 4, stdout: '' });
      expect(outcome.stderr).toMatch(/Buildfile:3/);
      expect(outcome.stderr).toContain(`is ${sha256(archive)}, and ${sha256('x')} was expected`);
    });
  });
});
