import { renameSync, writeFileSync } from 'node:fs';
import { readdir, symlink } from 'node:fs/promises';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type DiffId, parseDiffId } from '../../core/index.ts';
import { bytesOf, type Entry, forEachEntry } from '../../runtime/index.ts';
import { missing } from '../../test/requirements.ts';
import { openTestWorkshop, type TestBuild, type TestWorkshop } from '../../test/workshop.ts';

let bench: TestWorkshop;

/** The entries of a built image's top layer, readable. */
async function topLayer(build: TestBuild): Promise<Record<string, string>> {
  const layer = build.image.layers.at(-1);
  if (layer === undefined) return {};
  const seen: Record<string, string> = {};
  await forEachEntry(await bench.workshop.content.read(layer.descriptor), async (entry) => {
    seen[bytesOf(entry.path).toString()] = await summary(entry);
  });
  return seen;
}

async function summary(entry: Entry): Promise<string> {
  if (entry.type === 'whiteout' || entry.type === 'opaque') return entry.type;
  const owned = `${entry.type} ${entry.mode.toString(8)} ${entry.uid}:${entry.gid} @${entry.mtime.seconds}`;
  if (entry.type === 'symlink' || entry.type === 'hardlink') return `${owned} -> ${entry.target}`;
  if (entry.type !== 'file' || entry.content.kind !== 'stream') return owned;
  return `${owned} ${Buffer.concat(await Array.fromAsync(entry.content.stream)).toString()}`;
}

const diffIdsOf = (build: TestBuild): readonly DiffId[] => build.image.config.diffIds;

describe.skipIf(missing('root', 'overlay', 'busybox'))('buildImage', () => {
  beforeEach(async () => {
    bench = await openTestWorkshop();
  });
  afterEach(() => bench[Symbol.asyncDispose]());

  it('makes a layer of what a run step changed, and of nothing else', async () => {
    const build = await bench.build(`
      from = "busybox"
      steps = [{ run = "echo hi > /greeting; rm /etc/group; mkdir -m 700 /srv; ln /greeting /again; chown 5:6 /again; touch -d @86400 /old" }]
    `);

    expect(await topLayer(build)).toEqual({
      again: 'file 644 5:6 @1 hi\n',
      etc: 'directory 755 0:0 @1',
      'etc/group': 'whiteout',
      greeting: 'hardlink 644 5:6 @1 -> again',
      old: 'file 644 0:0 @86400',
      srv: 'directory 700 0:0 @1',
    });
  });

  it('leaves nothing on the disk of what a failed step wrote', async () => {
    await expect(bench.build('from = "busybox"\nsteps = [{ run = "echo x > /big; exit 1" }]')).rejects.toThrow();

    await bench.workshop[Symbol.asyncDispose]();

    expect(await readdir(path.join(bench.home, 'snapshots', 'trash'))).toEqual([]);
    expect(await readdir(path.join(bench.home, 'tmp'))).toEqual([]);
  });

  it('gives the same digest again, from the cache and without it', async () => {
    await bench.put({ 'site/index.html': '<p>' });
    const text = `
      from = "busybox"
      steps = [{ workdir = "/srv" }, { copy = "site", to = "." }, { env = { A = "1" } }, { run = "echo $A > a" }]
    `;
    const first = await bench.build(text);
    const second = await bench.build(text);
    const third = await bench.build(text, { noCache: true });

    expect(second.descriptor.digest).toBe(first.descriptor.digest);
    expect(third.descriptor.digest).toBe(first.descriptor.digest);
    expect(second.ran.filter((title) => !title.includes('FROM'))).toEqual([]);
    expect(third.ran.filter((title) => title.includes('RUN'))).toHaveLength(1);
  });

  it('runs again what a changed file reaches, and nothing before it', async () => {
    await bench.put({ a: '1', b: '1' });
    const text = `
      from = "busybox"
      steps = [{ copy = "a", to = "/a" }, { run = "cp /a /a2" }, { copy = "b", to = "/b" }, { run = "cp /b /b2" }]
    `;
    await bench.build(text);
    await bench.put({ b: '2' });

    expect((await bench.build(text)).cached).toEqual(['[main 1/4] COPY a /a', '[main 2/4] RUN cp /a /a2']);
  });

  it('stops the ripple where a step that ran again made the same content', async () => {
    await bench.build('from = "busybox"\nsteps = [{ run = "echo same > /b" }, { run = "echo after > /c" }]');
    const second = await bench.build(
      'from = "busybox"\nsteps = [{ run = "echo   same > /b" }, { run = "echo after > /c" }]',
    );

    expect(second.cached).toEqual(['[main 2/2] RUN echo after > /c']);
  });

  it('sees the image’s own env, user and workdir, and the step’s', async () => {
    const build = await bench.build(
      `
      from = "busybox"
      [args]
      ARG = "arg"
      [[steps]]
      env = { A = "\${ARG}1" }
      [[steps]]
      workdir = "/w/x"
      [[steps]]
      user = "nobody"
      [[steps]]
      run = "test \\"$A $B $ARG $PWD $(id -u) $HOME\\" = 'arg1 b arg /w/y 65534 /home'"
      env = { B = "b" }
      workdir = "../y"
      [[steps]]
      run = ["/bin/sh", "-c", "test $$(id -u) = 0"]
      user = "0"
    `
        .replace('workdir = "../y"', 'workdir = "/w/x/../x"')
        .replace('/w/y', '/w/x'),
    );

    expect(build.image.config.config).toMatchObject({ User: 'nobody', WorkingDir: '/w/x' });
    expect(build.image.config.config.Env).toContain('A=arg1');
    expect(build.image.config.config.Env?.join()).not.toContain('ARG=');
  });

  it('copies between stages and builds only what the target needs', async () => {
    const text = `
      [stages.tool]
      from = "busybox"
      steps = [{ run = "mkdir -p /out/sub && echo tool > /out/sub/tool && ln -s sub/tool /out/link && chown -R 7:7 /out && chmod 4755 /out/sub/tool" }]
      [stages.never]
      from = "busybox"
      steps = [{ run = "exit 1" }]
      [stages.app]
      from = "scratch"
      steps = [{ copy = "/out/", from = "tool", to = "/opt" }]
    `;
    const build = await bench.build(text);

    expect(await topLayer(build)).toEqual({
      opt: 'directory 755 0:0 @1',
      'opt/link': 'symlink 777 0:0 @1 -> sub/tool',
      'opt/sub': 'directory 755 0:0 @1',
      'opt/sub/tool': 'file 4755 0:0 @1 tool\n',
    });
    expect(diffIdsOf(build)).toHaveLength(1);
  });

  it('follows links of the image at the destination, never out of it', async () => {
    await bench.put({ 'tree/lib/new': 'x', 'tree/tmp/t': 't' });
    const build = await bench.build(`
      from = "busybox"
      steps = [
        { run = "mkdir -p /usr/lib && ln -s usr/lib /lib && ln -s ../../../../../../etc /evil" },
        { copy = "tree", to = "/" },
        { copy = "tree/lib/new", to = "/evil/" },
      ]
    `);
    const middle = build.image.layers.at(-2);
    const seen: string[] = [];
    if (middle !== undefined) {
      await forEachEntry(await bench.workshop.content.read(middle.descriptor), async (entry) => {
        seen.push(`${entry.path} ${(await summary(entry)).split(' ').slice(0, 2).join(' ')}`);
      });
    }

    expect(seen).toEqual([
      'tmp directory 1777',
      'tmp/t file 644',
      'usr directory 755',
      'usr/lib directory 755',
      'usr/lib/new file 644',
    ]);
    expect(Object.keys(await topLayer(build))).toEqual(['etc', 'etc/new']);
  });

  it('says where a step failed, how, and what it printed last', async () => {
    const failing = bench.build(
      'from = "busybox"\n\n[[steps]]\nrun = """\necho one\necho two >&2\nfalse\necho never\n"""\n',
    );

    await expect(failing).rejects.toMatchObject({ code: 'STEP_FAILED', exitCode: 1, position: { line: 4 } });
    await expect(failing.catch((error: { output: Buffer }) => error.output.toString())).resolves.toMatch(
      /^(one\ntwo|two\none)\n$/,
    );
  });

  it.each([
    ['["/nothing/here"]', 127],
    ['["/etc/passwd"]', 126],
    ['["/bin/sh", "-c", "kill -9 $$$$"]', 137],
  ])('gives %s the exit code %i', async (run, exitCode) => {
    await expect(bench.build(`from = "busybox"\nsteps = [{ run = ${run} }]`)).rejects.toMatchObject({
      code: 'STEP_FAILED',
      exitCode,
    });
  });

  it('names the step whose source is missing, with its place', async () => {
    await expect(bench.build('from = "busybox"\nsteps = [{ copy = "nothing", to = "/" }]')).rejects.toMatchObject({
      code: 'COPY_SOURCE_NOT_FOUND',
      position: { line: 2 },
    });
  });

  it('takes user names from the image', async () => {
    await bench.put({ f: 'f' });
    const build = await bench.build(`
      from = "busybox"
      steps = [{ run = "echo 'me:x:42:43::/me:' >> /etc/passwd" }, { copy = "f", to = "/me/", owner = "me", mode = "0600" }]
    `);

    expect(await topLayer(build)).toMatchObject({ me: 'directory 700 42:43 @1', 'me/f': 'file 600 42:43 @1 f' });
  });

  it('has no network unless asked', async () => {
    const build = await bench.build(`
      from = "busybox"
      steps = [{ run = "test $(grep -c : /proc/net/dev) = 1" }, { run = "grep -c : /proc/net/dev > /host", network = "host" }]
    `);
    expect((await topLayer(build)).host).not.toContain(' 1\n');
  });

  it('builds independent stages side by side and stops all when one fails', async () => {
    const started = performance.now();
    const failing = bench.build(`
      [stages.slow]
      from = "busybox"
      steps = [{ run = "sleep 30" }]
      [stages.bad]
      from = "busybox"
      steps = [{ run = "exit 3" }]
      [stages.both]
      from = "scratch"
      steps = [{ copy = "/etc", from = "slow", to = "/a" }, { copy = "/etc", from = "bad", to = "/b" }]
    `);

    await expect(failing).rejects.toMatchObject({ code: 'STEP_FAILED', exitCode: 3 });
    expect(performance.now() - started).toBeLessThan(15_000);
  });

  it('ends at once when aborted', async () => {
    const controller = new AbortController();
    const building = bench.build('from = "busybox"\nsteps = [{ run = "sleep 30" }]', {
      signal: controller.signal,
      onEvent: (event) => {
        if (event.type === 'start' && event.vertex.title.includes('RUN')) setTimeout(() => controller.abort(), 200);
      },
    });

    await expect(building).rejects.toMatchObject({ name: 'AbortError' });
  });

  it('records what it was built from', async () => {
    const build = await bench.build('from = "busybox"\nsteps = [{ run = "true" }]');
    const annotations = build.image.annotations;

    expect(annotations['org.opencontainers.image.base.name']).toBe('docker.io/library/busybox:latest');
    expect(JSON.parse(annotations['kiln.sources'] ?? '')).toEqual([
      { digest: annotations['org.opencontainers.image.base.digest'], name: 'docker.io/library/busybox:latest' },
    ]);
  });

  it('makes a cached layer again when its blob is damaged away', async () => {
    const text = 'from = "busybox"\nsteps = [{ run = "echo x > /x" }]';
    const first = await bench.build(text);
    const { rm } = await import('node:fs/promises');
    await rm(bench.workshop.content.blobFile(parseDiffId(diffIdsOf(first).at(-1))));
    const second = await bench.build(text);

    expect(second.ran.some((title) => title.includes('RUN'))).toBe(true);
    expect(second.descriptor.digest).toBe(first.descriptor.digest);
  });

  it('copies the other names of a file whose first ones are excluded', async () => {
    const build = await bench.build(
      `
      [stages.source]
      from = "busybox"
      steps = [{ run = "mkdir /d; cd /d; echo x > a; ln a b; ln a c; ln a d" }]
      [stages.main]
      from = "scratch"
      steps = [{ copy = "d", from = "source", to = "/", exclude = ["a", "b"] }]
    `,
      { target: 'main' },
    );

    expect(await topLayer(build)).toEqual({ c: 'file 644 0:0 @1 x\n', d: 'hardlink 644 0:0 @1 -> c' });
  });

  it('fails, and remembers nothing, when a file changes between being looked at and being copied', async () => {
    let file = '';
    let count = 0;
    // The clock is asked between the two.
    const clock = {
      now() {
        if (file !== '') {
          writeFileSync(`${file}.new`, String(count++ % 10));
          renameSync(`${file}.new`, file);
        }
        return Date.now();
      },
    };
    await using changing = await openTestWorkshop({ clock });
    file = path.join(changing.context, 'f');

    const build = changing.build('from = "scratch"\nsteps = [{ copy = "f", to = "/" }]');

    await expect(build).rejects.toMatchObject({ code: 'COPY_FILE_CHANGED' });
    expect(await Array.fromAsync(changing.workshop.cache.diffIds())).toEqual([]);
  });

  it('does not follow a context’s link to this machine', async () => {
    await symlink('/etc/passwd', path.join(bench.context, 'stolen'));

    await expect(bench.build('from = "scratch"\nsteps = [{ copy = "stolen", to = "/" }]')).rejects.toMatchObject({
      code: 'COPY_SOURCE_OUTSIDE',
    });
  });
});
