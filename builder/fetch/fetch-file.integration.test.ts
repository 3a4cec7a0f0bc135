import { spawnSync } from 'node:child_process';
import { mkdir, mkdtemp, readdir, readFile, rm, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { sha256 } from '../../core/index.ts';
import { findProgram, missing, mustSkip } from '../../test/requirements.ts';
import { openTestWorkshop, type TestWorkshop } from '../../test/workshop.ts';
import { buildFetch, TestPins } from './fetch-build.testing.ts';
import { type MisbehavingServer, startServer } from './misbehaving-server.testing.ts';

describe.skipIf(missing('busybox', 'overlay', 'root'))('fetch of a file', () => {
  let bench: TestWorkshop;
  let server: MisbehavingServer;
  const files = new Map<string, Buffer>();
  const put = (name: string, content: Buffer | string) => {
    files.set(`/${name}`, Buffer.from(content));
    return { kind: 'http' as const, url: `${server.origin}/${name}` };
  };
  const askedFor = (name: string) => server.asked.filter(({ url }) => url === `/${name}`);

  beforeAll(async () => {
    bench = await openTestWorkshop();
    server = await startServer((request, response) => {
      const bytes = files.get(request.url ?? '');
      if (bytes === undefined) return void response.writeHead(404).end();
      const etag = `"${sha256(bytes)}"`;
      if (request.headers['if-none-match'] === etag) response.writeHead(304).end();
      else response.writeHead(200, { 'content-length': bytes.length, etag }).end(bytes);
    });
  });
  afterAll(async () => {
    await server[Symbol.asyncDispose]();
    await bench[Symbol.asyncDispose]();
  });

  it('puts it where `to` says, by the rules of copy', async () => {
    const source = put('tool.sh', 'echo tool\n');

    const intoFolder = await buildFetch(bench, { source, to: '/opt/' });
    const asFile = await buildFetch(bench, { source, to: '/opt/x' });
    const intoExisting = await buildFetch(bench, { source, to: '/bin' });
    const owned = await buildFetch(
      bench,
      { source, to: 'x', owner: '5:6', mode: 0o755 },
      {
        before: [{ verb: 'workdir', path: '/w', position: { file: 'Buildfile', line: 1, column: 1 } }],
      },
    );

    expect(intoFolder.lines).toEqual(['directory 755 0:0 1 opt', 'file 644 0:0 1 opt/tool.sh = echo tool\n']);
    expect(asFile.lines).toEqual(['directory 755 0:0 1 opt', 'file 644 0:0 1 opt/x = echo tool\n']);
    expect(intoExisting.lines.at(-1)).toBe('file 644 0:0 1 bin/tool.sh = echo tool\n');
    expect(owned.lines.at(-1)).toBe('file 755 5:6 1 w/x = echo tool\n');
    expect(askedFor('tool.sh')).toHaveLength(1);
  });

  it('asks nobody for what a checksum names, when it is in the store', async () => {
    const source = put('checked', 'checked');
    const checksum = sha256('checked');

    await buildFetch(bench, { source, checksum, to: '/a/' });
    const mirror = { kind: 'http' as const, url: 'http://127.0.0.1:1/elsewhere/checked' };
    const again = await buildFetch(bench, { source: mirror, checksum, to: '/a/' });
    const elsewhere = await buildFetch(bench, { source: mirror, checksum, to: '/b/' });

    expect(again.cached).toBe(1);
    expect(elsewhere.cached).toBe(0);
    expect(elsewhere.lines.at(-1)).toBe('file 644 0:0 1 b/checked = checked');
    expect(askedFor('checked')).toHaveLength(1);
  });

  it('fails on another checksum with both, its place, and nothing kept', async () => {
    const source = put('evil', 'evil');
    const checksum = sha256('good');

    await expect(buildFetch(bench, { source, checksum })).rejects.toMatchObject({
      code: 'FETCH_CHECKSUM',
      message: `${source.url} is ${sha256('evil')}, and ${checksum} was expected`,
      position: { file: 'Buildfile', line: 3, column: 1 },
    });
    await expect(readFile(bench.workshop.content.blobFile(sha256('evil')))).rejects.toThrow('ENOENT');
  });

  it('keeps what it found as a pin, and is held to pins', async () => {
    const source = put('pinned', 'one');
    const pins = new TestPins();
    const base = 'scratch';
    await buildFetch(bench, { source }, { pins, base });
    put('pinned', 'two');

    const held = await buildFetch(bench, { source, to: '/elsewhere/' }, { pins, base, noCache: true });
    const refreshed = await buildFetch(bench, { source }, { pins, base, pull: true });
    await bench.workshop.records.remove('fetches-v1', source.url);
    const foreign = new TestPins([['urls', source.url, sha256('three')]]);

    expect(pins.kept).toEqual([
      ['urls', source.url, sha256('one')],
      ['urls', source.url, sha256('two')],
    ]);
    expect(held.lines.at(-1)).toContain('= one');
    expect(refreshed.lines.at(-1)).toContain('= two');
    await expect(buildFetch(bench, { source }, { pins: foreign })).rejects.toMatchObject({ code: 'FETCH_CHECKSUM' });
  });

  it('without lock file uses what the URL gave, until it is to ask again; then conditionally', async () => {
    const source = put('moving', 'one');
    const base = 'scratch';
    await buildFetch(bench, { source }, { base });
    put('moving', 'two');

    const same = await buildFetch(bench, { source }, { base });
    const asked = await buildFetch(bench, { source }, { base, pull: true });
    const unchanged = await buildFetch(bench, { source }, { base, pull: true });

    expect(same.cached).toBe(1);
    expect(asked.lines.at(-1)).toContain('= two');
    expect(unchanged.cached).toBe(1);
    expect(askedFor('moving').map(({ headers }) => headers['if-none-match'])).toEqual([
      undefined,
      `"${sha256('one')}"`,
      `"${sha256('two')}"`,
    ]);
  });

  it('loads the file again when its blob went away', async () => {
    const source = put('pruned', 'pruned');
    await buildFetch(bench, { source });
    await rm(bench.workshop.content.blobFile(sha256('pruned')));

    const again = await buildFetch(bench, { source, to: '/b/' });

    expect(again.lines.at(-1)).toContain('= pruned');
    expect(askedFor('pruned')).toHaveLength(2);
  });

  it('sends secrets to the host they are for, and says none', async () => {
    const source = put('private', 'private');
    const asked: string[] = [];
    const secrets = {
      find: async (id: string) => {
        asked.push(id);
        return id === 'HTTP_AUTH_TOKEN_127.0.0.1' ? Buffer.from('hush\n') : undefined;
      },
    };

    const { events } = await buildFetch(bench, { source }, { secrets });

    expect(askedFor('private')[0]?.headers.authorization).toBe('Bearer hush');
    expect(asked.every((id) => id.startsWith('HTTP_AUTH_'))).toBe(true);
    expect(JSON.stringify(events)).not.toContain('hush');
    expect(await recordsOf(bench)).not.toContain('hush');
  });

  it('says what the server said, with the place', async () => {
    const source = { kind: 'http' as const, url: `${server.origin}/nothing` };

    await expect(buildFetch(bench, { source })).rejects.toMatchObject({
      code: 'FETCH_STATUS',
      position: { line: 3 },
    });
    await expect(
      buildFetch(bench, { source: { kind: 'http', url: `${server.origin}/` }, to: '/x/' }),
    ).rejects.toMatchObject({
      code: 'FETCH_NO_NAME',
    });
  });

  describe('unpack', () => {
    let folder: string;
    beforeAll(async () => {
      folder = await mkdtemp(path.join(tmpdir(), 'kiln-archive-'));
      const script = `
        mkdir -p app/bin app/etc && printf tool > app/bin/tool && chmod 4755 app/bin/tool && ln -s bin/tool app/link
        ln app/bin/tool app/zool && printf conf > app/etc/conf && chmod 600 app/etc/conf
        find app -exec touch -h -d @1000000000 {} +
        tar --owner=5 --group=6 --sort=name -cf plain.tar app
        gzip -k plain.tar && xz -k plain.tar && bzip2 -k plain.tar && zstd -q -k plain.tar`;
      const made = spawnSync('sh', ['-ec', script], { cwd: folder, encoding: 'utf8' });
      if (made.status !== 0) throw new Error(made.stderr);
    });
    afterAll(() => rm(folder, { recursive: true }));

    const expected = [
      'directory 755 0:0 1 srv',
      'directory 755 0:0 1000000000 srv/app',
      'directory 755 0:0 1000000000 srv/app/bin',
      'file 4755 0:0 1000000000 srv/app/bin/tool = tool',
      'directory 755 0:0 1000000000 srv/app/etc',
      'file 600 0:0 1000000000 srv/app/etc/conf = conf',
      'symlink 777 0:0 1000000000 srv/app/link -> bin/tool',
      'hardlink 4755 0:0 1000000000 srv/app/zool -> srv/app/bin/tool',
    ];
    const programs = ['xz', 'bzip2', 'zstd'].filter((name) => findProgram(name) === undefined);

    it.skipIf(mustSkip(programs.map((name) => `${name} is not installed`)))(
      'keeps modes and times of whatever archive, and gives all to root',
      async () => {
        const digests = new Set<string | undefined>();
        for (const suffix of ['', '.gz', '.xz', '.bz2', '.zst']) {
          const source = put(`archive${suffix}`, await readFile(path.join(folder, `plain.tar${suffix}`)));
          const built = await buildFetch(bench, { source, to: '/srv', unpack: true });
          expect(built.lines, suffix).toEqual(expected);
          digests.add(built.image.layers.at(-1)?.diffId);
        }
        expect(digests.size).toBe(1);
      },
    );

    it('goes through links of the image only inside of it, and keeps its directories', async () => {
      const source = put('through', await readFile(path.join(folder, 'plain.tar')));
      const position = { file: 'Buildfile', line: 1, column: 1 };
      await mkdir(path.join(bench.context, 'links'));
      await symlink('/../../../../bin', path.join(bench.context, 'links/srv'));
      const before = [
        {
          verb: 'copy',
          from: { kind: 'context' },
          paths: ['links'],
          to: '/',
          exclude: [],
          preserve: [],
          parents: false,
          optional: false,
          position,
        },
        { verb: 'workdir', path: '/bin/app', position },
      ] as const;

      const { lines } = await buildFetch(bench, { source, to: '/srv', unpack: true }, { before });

      expect(lines.map((line) => line.replace(/ = .*/, ''))).toContain('file 4755 0:0 1000000000 bin/app/bin/tool');
      expect(lines.find((line) => line.endsWith(' bin/app'))).toBe('directory 755 0:0 1 bin/app');
    });

    it('leaves owners and modes to the step, and says what is wrong with which file', async () => {
      const source = put('owned', await readFile(path.join(folder, 'plain.tar')));

      const owned = await buildFetch(bench, { source, to: '/srv', unpack: true, owner: '7', mode: 0o640 });
      const broken = { source: put('broken.tar.gz', 'hello'), unpack: true };

      expect(owned.lines).toContain('file 640 7:7 1000000000 srv/app/etc/conf = conf');
      expect(owned.lines).toContain('directory 750 7:7 1000000000 srv/app/etc');
      await expect(buildFetch(bench, broken)).rejects.toMatchObject({
        code: 'FETCH_NOT_AN_ARCHIVE',
        message: expect.stringContaining('/broken.tar.gz cannot be unpacked'),
      });
    });

    it('leaves nothing in the scratch folder, whether it succeeds or not', async () => {
      const scratch = await bench.workshop.scratch();

      expect((await readdir(scratch.folder)).filter((name) => /^(unpack|git)-/.test(name))).toEqual([]);
    });

    it('does not hold in memory what it unpacks', async () => {
      const megabytes = 256;
      const script = `truncate -s ${megabytes}M zeros && touch -d @7 zeros && tar -c zeros | gzip -1 > zeros.tar.gz && rm zeros`;
      expect(spawnSync('sh', ['-ec', script], { cwd: folder }).status).toBe(0);
      const source = put('zeros', await readFile(path.join(folder, 'zeros.tar.gz')));
      const before = process.memoryUsage().rss;

      const { lines } = await buildFetch(bench, { source, to: '/srv/', unpack: true });

      expect(lines.at(-1)).toBe(`file 644 0:0 7 srv/zeros = ${megabytes * 2 ** 20} bytes`);
      expect(process.memoryUsage().rss - before).toBeLessThan(200 * 2 ** 20);
    });
  });
});

async function recordsOf(bench: TestWorkshop): Promise<string> {
  const folder = path.join(bench.home, 'records');
  const names = await readdir(folder, { recursive: true, withFileTypes: true });
  const texts = names
    .filter((entry) => entry.isFile())
    .map((entry) => readFile(path.join(entry.parentPath, entry.name), 'utf8'));
  return (await Promise.all(texts)).join('\n');
}
