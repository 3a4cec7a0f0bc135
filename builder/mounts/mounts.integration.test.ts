import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, readdir } from 'node:fs/promises';
import { createServer } from 'node:net';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { missing } from '../../test/requirements.ts';
import { openTestWorkshop, type TestWorkshop } from '../../test/workshop.ts';
import { CacheStore } from '../caches/cache-store.ts';
import type { BuildEvent } from '../events.ts';
import { addedBy, contentOf, mountedStep, secretsOf } from './mounted-step.testing.ts';

let bench: TestWorkshop;

beforeEach(async () => {
  bench = await openTestWorkshop();
});
afterEach(() => bench[Symbol.asyncDispose]());

function output(events: readonly BuildEvent[]): string {
  return Buffer.concat(events.flatMap((event) => (event.type === 'output' ? [event.bytes] : []))).toString();
}

describe.skipIf(missing('root', 'overlay', 'busybox'))('secret mounts', () => {
  it('are files of the step’s user alone, or variables, and leave nothing in the layer', async () => {
    const source = secretsOf({ token: 'hunter22\n', key: 'from-env' });
    const run = `
      [ "$(cat /run/secrets/token)" = hunter22 ]; env | grep -q '^KEY=.*-env$'; [ "$(cat /home/x/deep/token)" = hunter22 ]
      stat -c '%a %u' /run/secrets/token > /out; [ ! -e /run/secrets/key ]`;

    const built = await bench.build(
      mountedStep(
        run,
        '{ secret = "token" }, { secret = "key", env = "KEY" }, { secret = "token", to = "/home/x/deep/token" }',
      ),
      { secrets: source },
    );

    expect(await addedBy(bench, built)).toEqual(['out']);
    expect(JSON.stringify(built.image.config)).not.toContain('from-env');
  });

  it('are asked for when the step runs, and change no key by their values', async () => {
    const text = mountedStep(
      'cat /run/secrets/token > /dev/null; echo a > /out',
      '{ secret = "token", required = true }',
    );
    await bench.build(text, { secrets: secretsOf({ token: 'first' }) });
    const source = secretsOf({ token: 'second' });

    const again = await bench.build(text, { secrets: source });

    expect(again.cached).toHaveLength(1);
    expect(source.asked).toEqual([]);
  });

  it('fail the step that requires one before it runs, and are absent otherwise', async () => {
    const absent = mountedStep('[ ! -e /run/secrets/token ]; [ -z "$T" ]; echo > /out', '{ secret = "token" }');

    expect(await addedBy(bench, await bench.build(absent))).toEqual(['out']);
    await expect(bench.build(mountedStep('exit 1', '{ secret = "token", required = true }'))).rejects.toMatchObject({
      code: 'SECRET_MISSING',
      hint: expect.stringContaining('--secret id=token'),
    });
  });

  it('are not shown when a step prints them, however it does, nor kept of a failure', async () => {
    const source = secretsOf({ token: 'hunter22\n', lines: 'first line\nsecond line\n' });
    const run = `
      cat /run/secrets/token; echo "in the middle of hunter22 text" >&2; printf hunt; printf er22; echo
      tail -n 1 /run/secrets/lines; exit 5`;
    const events: BuildEvent[] = [];

    const failed = bench.build(mountedStep(run, '{ secret = "token" }, { secret = "lines" }'), {
      secrets: source,
      onEvent: (event) => events.push(event),
    });

    const error = await failed.catch((thrown: unknown) => thrown as { code: string; output: Buffer });
    expect(error).toMatchObject({ code: 'STEP_FAILED', exitCode: 5 });
    const texts = [output(events), 'output' in error ? error.output.toString() : ''];
    for (const text of texts) {
      expect(text).toContain('in the middle of *** text');
      expect(text).not.toMatch(/hunter22|second line/);
    }
  });

  it('in the environment may hold no NUL, and the value is not in the error', async () => {
    const source = secretsOf({ token: 'hunter\0' });

    const failure = bench.build(mountedStep('true', '{ secret = "token", env = "T" }'), { secrets: source });

    await expect(failure).rejects.toMatchObject({
      code: 'SECRET_INVALID',
      message: expect.not.stringContaining('hunter'),
    });
  });
});

describe.skipIf(missing('root', 'overlay', 'busybox'))('cache mounts', () => {
  it('keep their content from build to build, and out of layers and keys', async () => {
    const run = (number: number) =>
      mountedStep(`echo ${number} >> /cache/log; cp /cache/log /out`, '{ cache = "/cache" }');

    const first = await bench.build(run(1));
    const second = await bench.build(run(2));

    expect(await addedBy(bench, first)).toEqual(['out']);
    expect(await addedBy(bench, second)).toEqual(['out']);
    const [cache] = await new CacheStore(bench.workshop).list();
    expect(cache).toMatchObject({ id: '/cache', platform: expect.stringContaining('linux/') });
    expect(second.cached).toEqual([]);
    expect((await bench.build(run(2))).cached).toHaveLength(1);
  });

  it('are found by their ids wherever they are mounted, and relative to the workdir', async () => {
    await bench.build(mountedStep('echo x > file', '{ cache = ".", id = "shared" }', 'workdir = "/work/dir"'));

    const built = await bench.build(mountedStep('cp /elsewhere/file /out', '{ cache = "/elsewhere", id = "shared" }'));

    expect(await addedBy(bench, built)).toEqual(['out']);
  });

  it('belong to the user of the step that makes them', async () => {
    const user = 'user = "1234:1234"';

    const built = await bench.build(
      mountedStep('stat -c "%a %u:%g" /cache > /cache/out', '{ cache = "/cache" }', user),
    );

    const [cache] = await new CacheStore(bench.workshop).list();
    expect(await readdir(cache?.folder ?? '')).toEqual(['out']);
    expect(await addedBy(bench, built)).toEqual([]);
  });

  it('are had one after the other when locked', async () => {
    // Each step fails when it finds the other one at work.
    const run = 'mkdir /cache/busy; sleep 0.3; rmdir /cache/busy; echo >> /cache/count';
    const stages = ['a', 'b', 'c'].map(
      (name) =>
        `[stages.${name}]\nfrom = "busybox"\nsteps = [{ run = "${run}; : ${name}", mounts = [{ cache = "/cache", sharing = "locked" }] }]\n`,
    );

    await bench.build(
      `${stages.join('')}[stages.all]\nfrom = "busybox"\nsteps = [${['a', 'b', 'c']
        .map((name) => `{ copy = "/etc/passwd", from = "${name}", to = "/${name}" }`)
        .join(', ')}]`,
      { jobs: 3 },
    );

    const caches = await new CacheStore(bench.workshop).list();
    expect(caches).toHaveLength(1);
    expect(await readdir(caches[0]?.folder ?? '')).toEqual(['count']);
  });

  it('are had by each alone when private, and used again', async () => {
    const run = '[ ! -e /cache/busy ]; touch /cache/busy; sleep 0.3; rm /cache/busy';
    const text = (round: number) =>
      `${['a', 'b'].map((name) => `[stages.${name}]\nfrom = "busybox"\nsteps = [{ run = "${run}; : ${name}${round}", mounts = [{ cache = "/cache", sharing = "private" }] }]\n`).join('')}
      [stages.all]\nfrom = "busybox"\nsteps = [{ copy = "/etc/passwd", from = "a", to = "/a" }, { copy = "/etc/passwd", from = "b", to = "/b" }]`;

    await bench.build(text(1));
    await bench.build(text(2));

    const caches = await new CacheStore(bench.workshop).list();
    expect(caches.map(({ instance }) => instance)).toEqual([0, 1]);
  });

  it('cannot be waited for by two steps crosswise', async () => {
    const mounts = (first: string, second: string) =>
      `[{ cache = "/1", id = "${first}", sharing = "locked" }, { cache = "/2", id = "${second}", sharing = "locked" }]`;

    const built = await bench.build(
      `[stages.a]\nfrom = "busybox"\nsteps = [{ run = "sleep 0.2; echo a > /a", mounts = ${mounts('x', 'y')} }]
       [stages.b]\nfrom = "a"\nsteps = [{ copy = "/c", from = "c", to = "/c" }]
       [stages.c]\nfrom = "busybox"\nsteps = [{ run = "sleep 0.2; echo c > /c", mounts = ${mounts('y', 'x')} }]
       [stages.d]\nfrom = "b"\nsteps = [{ run = "true", mounts = [{ cache = "/1", id = "x", sharing = "locked" }, { cache = "/2", id = "x" }] }]`,
    );

    expect(await addedBy(bench, built)).toEqual(['a', 'c']);
  });
});

describe.skipIf(missing('root', 'overlay', 'busybox'))('mounts of a step', () => {
  it('leave no trace where the image has nothing, a closed folder, a link, or less than it once had', async () => {
    const text = `
      from = "busybox"
      steps = [
        { run = "mkdir -p /closed /real /opaque/sub /gone/sub; ln -s real /link; chmod 555 /closed" },
        { run = "rm -rf /opaque /gone; mkdir /opaque; touch -d @1000000000 /opaque" },
        { run = "true", mounts = [
          { cache = "/nowhere/at/all" }, { cache = "/closed/inner" }, { tmpfs = "/link/inner" },
          { cache = "/opaque/sub" }, { tmpfs = "/gone/sub/deep" }, { secret = "token", to = "/opaque/file" } ] },
      ]`;

    const built = await bench.build(text, { secrets: secretsOf({ token: 'hidden' }) });

    expect(built.image.layers).toHaveLength(3);
  });

  it('keep what the step writes beside them', async () => {
    const built = await bench.build(
      mountedStep('echo x > /var/cache/mine; echo y > /var/cache/apt/theirs', '{ cache = "/var/cache/apt" }'),
    );

    expect(await addedBy(bench, built)).toEqual(['var', 'var/cache', 'var/cache/mine']);
  });

  it('are in memory where they are tmpfs, with a size', async () => {
    const run =
      'grep " /scratch tmpfs" /proc/mounts | grep -c size=1024k > /out; dd if=/dev/zero of=/scratch/f bs=2M count=1 2>/dev/null && exit 1; true';

    const built = await bench.build(mountedStep(run, '{ tmpfs = "/scratch", size = "1m" }'));

    expect(await contentOf(bench, built, 'out')).toBe('1\n');
    expect(await addedBy(bench, built)).toEqual(['out']);
  });

  it.each([
    ['over the kernel’s', '{ cache = "/proc/x" }', 'MOUNT_DESTINATION_INVALID'],
    ['on a file that is one', '{ cache = "/etc/passwd" }', 'MOUNT_DESTINATION_INVALID'],
    [
      'twice in one place, by way of a link',
      '{ tmpfs = "/var/run" }, { cache = "/var/../var/run" }',
      'MOUNT_DESTINATION_TAKEN',
    ],
  ])('are refused %s', async (_what, mounts, code) => {
    await expect(bench.build(mountedStep('true', mounts))).rejects.toMatchObject({ code });
  });
});

describe.skipIf(missing('root', 'overlay', 'busybox', 'cc'))('ssh mounts', () => {
  it('lead to the agent, for a step’s ordinary user, and to nothing that changes it', async () => {
    const folder = path.join(bench.context, 'agent');
    await mkdir(folder, { mode: 0o700 });
    const types: number[] = [];
    const agent = createServer((socket) => {
      socket.on('data', (bytes: Buffer) => {
        types.push(bytes[4] ?? 0);
        socket.write(Buffer.from([0, 0, 0, 1, 12]));
      });
    }).listen(path.join(folder, 'sock'));
    await once(agent, 'listening');
    const source = path.join(import.meta.dirname, 'agent-client.c');
    const compiled = spawnSync('cc', ['-static', '-o', path.join(bench.context, 'client'), source], {
      encoding: 'utf8',
    });
    expect(compiled.stderr).toBe('');
    try {
      const mounts = '{ ssh = "default" }, { bind = "client", to = "/client" }';
      const run = '/client 11 > /tmp/out; /client 19 >> /tmp/out; stat -c "%a %u" $SSH_AUTH_SOCK >> /tmp/out';

      const built = await bench.build(mountedStep(run, mounts, 'user = "1000"'), {
        sshAgents: new Map([['default', path.join(folder, 'sock')]]),
      });

      expect(await contentOf(bench, built, 'tmp/out')).toBe('12\n5\n600 1000\n');
      expect(await addedBy(bench, built)).toEqual(['tmp', 'tmp/out']);
      expect(types).toEqual([11]);
    } finally {
      agent.close();
    }
  });

  it('are refused where no agent was given', async () => {
    await expect(bench.build(mountedStep('true', '{ ssh = "deploy" }'))).rejects.toMatchObject({
      code: 'SSH_AGENT_MISSING',
      hint: expect.stringContaining('--ssh deploy='),
    });
  });
});
