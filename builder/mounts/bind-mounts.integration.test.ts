import { chmod, mkdir, readdir, symlink } from 'node:fs/promises';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { missing } from '../../test/requirements.ts';
import { openTestWorkshop, type TestWorkshop } from '../../test/workshop.ts';
import { parseIgnoreFile } from '../buildfile/ignore.ts';
import { addedBy, contentOf, mountedStep, secretsOf } from './mounted-step.testing.ts';

let bench: TestWorkshop;

beforeEach(async () => {
  bench = await openTestWorkshop();
});
afterEach(() => bench[Symbol.asyncDispose]());

describe.skipIf(missing('root', 'overlay', 'busybox'))('bind mounts', () => {
  it('show the context as a copy would: without what is ignored, with plain modes and owners', async () => {
    await bench.put({ 'src/a.txt': 'a', 'src/deep/b.txt': 'b', 'src/secret.env': 'x', 'other.txt': 'o' });
    await chmod(path.join(bench.context, 'src', 'a.txt'), 0o600);
    await symlink('deep/b.txt', path.join(bench.context, 'src', 'link'));
    const run = `
      cd /src; find . | sort > /out; stat -c '%a %u %Y' a.txt >> /out; cat link >> /out
      touch a.txt 2>/dev/null && exit 1; touch new 2>/dev/null && exit 1; true`;

    const built = await bench.build(
      mountedStep(run, '{ bind = "src", to = "/src" }, { bind = "other.txt", to = "/one/file" }'),
      {
        ignore: parseIgnoreFile('**/*.env'),
      },
    );

    expect(await addedBy(bench, built)).toEqual(['out']);
    const text = await contentOf(bench, built, 'out');
    expect(text).toBe('.\n./a.txt\n./deep\n./deep/b.txt\n./link\n644 0 1\nb');
  });

  it('enter the key by content: what changes runs again, what is touched or ignored does not', async () => {
    await bench.put({ 'src/a.txt': '1', 'src/x.log': '1' });
    const text = mountedStep('cat /src/a.txt > /out', '{ bind = "src", to = "/src" }');
    const options = { ignore: parseIgnoreFile('**/*.log') };
    await bench.build(text, options);

    await bench.put({ 'src/a.txt': '1', 'src/x.log': '2' });
    const touched = await bench.build(text, options);
    await bench.put({ 'src/a.txt': '2' });
    const changed = await bench.build(text, options);

    expect(touched.cached).toHaveLength(1);
    expect(changed.cached).toHaveLength(0);
    expect(await contentOf(bench, changed, 'out')).toBe('2');
  });

  it('do not lead out of the context', async () => {
    await mkdir(path.join(bench.context, 'src'));
    await symlink('/etc', path.join(bench.context, 'src', 'etc'));
    await symlink('../..', path.join(bench.context, 'src', 'up'));

    for (const source of ['src/etc', 'src/etc/passwd', 'src/up']) {
      const failure = bench.build(mountedStep('true', `{ bind = "${source}", to = "/src" }`));
      await expect(failure).rejects.toMatchObject({ code: 'COPY_SOURCE_OUTSIDE' });
    }
    const inside = await bench.build(
      mountedStep('cat /src/etc/hostname > /out || true', '{ bind = "src", to = "/src" }'),
    );
    expect(await contentOf(bench, inside, 'out')).toBe('kiln\n');
  });

  it('show a stage as it is, owners too, and only that part of it', async () => {
    const built = await bench.build(`
      [stages.made]
      from = "busybox"
      steps = [{ run = "mkdir -p /opt/app; echo x > /opt/app/file; chown -R 7:8 /opt/app; echo y > /opt/other" }]
      [stages.app]
      from = "busybox"
      [[stages.app.steps]]
      run = "stat -c '%u:%g' /mnt/app/file > /out; ls /mnt /mnt/app >> /out; touch /mnt/app/x 2>/dev/null && exit 1; true"
      mounts = [{ bind = "/opt/app", from = "made", to = "/mnt/app" }]`);

    expect(await addedBy(bench, built)).toEqual(['out']);
    expect(await contentOf(bench, built, 'out')).toBe('7:8\n/mnt:\napp\n\n/mnt/app:\nfile\n');
  });

  it('of an image count as its sources', async () => {
    const built = await bench.build(`
      from = "scratch"
      [[steps]]
      run = ["/bin/busybox", "sh", "-c", "cp /bin/busybox /out"]
      mounts = [{ bind = "bin/busybox", from = "busybox", to = "/bin/busybox" }]`);

    expect(built.images[0]?.end.sources.map(({ name }) => name)).toEqual(['docker.io/library/busybox:latest']);
  });

  it('take changes that are thrown away when they may be written to', async () => {
    await bench.put({ 'src/a.txt': 'a' });
    const run = 'for f in /src /stage; do echo new > $f/a.txt; touch $f/made; done; cat /src/a.txt /stage/a.txt > /out';
    const text = `
      [stages.made]
      from = "busybox"
      steps = [{ run = "mkdir /data; echo old > /data/a.txt" }]
      [stages.app]
      from = "busybox"
      [[stages.app.steps]]
      run = ${JSON.stringify(run)}
      mounts = [{ bind = "src", to = "/src", rw = true }, { bind = "data", from = "made", to = "/stage", rw = true }]
      [[stages.app.steps]]
      run = "cat /stage/a.txt > /after; ls /stage >> /after"
      mounts = [{ bind = "data", from = "made", to = "/stage" }]`;

    const built = await bench.build(text, { target: 'app' });

    expect(await addedBy(bench, built)).toEqual(['out', 'after']);
    expect(await contentOf(bench, built, 'out')).toBe('new\nnew\n');
    expect(await contentOf(bench, built, 'after')).toBe('old\na.txt\n');
    expect(await readdir(path.join(bench.context, 'src'))).toEqual(['a.txt']);
  });

  it('have room for other mounts inside, read-only as they are', async () => {
    await bench.put({ 'src/a.txt': 'a' });
    const run =
      'cd /src; ls node_modules; echo x > node_modules/x; cat npmrc/token > /dev/null; cat /stage/in/x > /out';
    const mounts = `{ bind = "src", to = "/src" }, { cache = "/src/node_modules", id = "m" }, { secret = "token", to = "/src/npmrc/token" },
      { bind = "/etc", from = "busybox", to = "/stage" }, { cache = "/stage/in", id = "m" }`;

    const built = await bench.build(mountedStep(run, mounts), { secrets: secretsOf({ token: 'hidden' }) });

    expect(await addedBy(bench, built)).toEqual(['out']);
    expect(await contentOf(bench, built, 'out')).toBe('x\n');
  });

  it('name what is not there', async () => {
    await bench.put({ 'source/a.txt': 'a' });

    await expect(bench.build(mountedStep('true', '{ bind = "sauce", to = "/src" }'))).rejects.toMatchObject({
      code: 'COPY_SOURCE_NOT_FOUND',
      position: expect.objectContaining({ line: 3 }),
    });
    const odd = bench.build(mountedStep('cat "/src/*[a]" > /out', '{ bind = "*[a]", to = "/src/*[a]" }'));
    await expect(odd).rejects.toMatchObject({ code: 'COPY_SOURCE_NOT_FOUND' });
    await bench.put({ '*[a]': 'literal' });
    expect(
      await contentOf(
        bench,
        await bench.build(mountedStep('cat "/src/*[a]" > /out', '{ bind = "*[a]", to = "/src/*[a]" }')),
        'out',
      ),
    ).toBe('literal');
  });
});
