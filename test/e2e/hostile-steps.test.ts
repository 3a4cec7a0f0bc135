import { symlinkSync } from 'node:fs';
import path from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { accountKinds, signalGroup } from '../account.ts';
import { missing } from '../requirements.ts';
import { finished } from './kiln.ts';
import { openSiege, refusal, type Siege, secret, stepsOnBase } from './siege.ts';

describe.skipIf(missing('busybox', 'unprivileged-user', 'overlay', 'pasta')).each(accountKinds())(
  'hostile steps, as %s',
  (kind) => {
    let siege: Siege;
    beforeAll(async () => {
      siege = await openSiege(kind);
    });
    afterEach(() => siege.unharmed());
    afterAll(() => siege[Symbol.asyncDispose]());

    /** A build of one `run` step; what it prints is in `stderr`. */
    const run = (script: string, flags: readonly string[] = [], more = '') =>
      siege.build(siege.context({ Buildfile: stepsOnBase(`run = ${JSON.stringify(script)}${more}`) }), flags);

    it('a secret that is echoed, in pieces and in an error', async () => {
      const context = siege.context({
        Buildfile: stepsOnBase(
          'run = "cat /run/secrets/token; printf hunter22; sleep 0.1; echo -of-the-potter; echo $TOKEN >&2; false", mounts = [{ secret = "token" }, { secret = "token", env = "TOKEN" }]',
        ),
      });
      const flags = ['--secret', `id=token,src=${path.join(siege.outside, 'marker')}`];

      const outcome = await siege.build(context, flags);
      const json = await siege.build(context, ['--json', ...flags]);

      expect(outcome).toMatchObject(refusal(3, /\*\*\*/));
      expect(json).toMatchObject({ status: 3 });
    });

    it('a secret that a step used is in no history, config or record', async () => {
      const script = 'test -s /run/secrets/token && test -n \\"$TOKEN\\" && echo used > /used';
      const context = siege.context({
        Buildfile: stepsOnBase(
          `run = "${script}", mounts = [{ secret = "token" }, { secret = "token", env = "TOKEN" }]`,
        ),
      });

      const outcome = await siege.build(context, ['--secret', `id=token,src=${path.join(siege.outside, 'marker')}`]);

      expect(outcome).toMatchObject({ status: 0 });
      expect(await siege.run(['inspect', 'victim'])).toMatchObject({ status: 0 });
      expect(await siege.run(['explain', '--json', '--context', context])).toMatchObject({
        status: 0,
        stdout: expect.stringContaining('/run/secrets/token'),
      });
    });

    it.skipIf(kind !== 'root')('a fork bomb under --pids-limit', async () => {
      const outcome = await run('b() { b | b & }; b; sleep 2; exit 3', ['--pids-limit', '50']);

      expect(outcome).toMatchObject(refusal(3, /can't fork/));
    });

    it.skipIf(kind !== 'root')('an eater of memory under --memory', async () => {
      const outcome = await run('awk \'BEGIN { a = "x"; while (1) a = a a }\'', ['--memory', '64m']);

      expect(outcome).toMatchObject(refusal(3, /killed: out of memory, limit 64 MiB/));
    });

    it('a filler of /dev/shm', async () => {
      const outcome = await run('dd if=/dev/zero of=/dev/shm/full bs=1M count=200; df -m /dev/shm; exit 7');

      expect(outcome).toMatchObject(refusal(3, /No space left on device/));
    });

    it('a daemon that stays behind, and holds the output', async () => {
      const outcome = await run('(trap "" TERM HUP INT; while :; do sleep 1; done) & setsid sleep 1000 & echo done');

      expect(outcome).toMatchObject({ status: 0 });
    });

    it.each(['SIGINT', 'SIGTERM'] as const)('a step that does not want to end, on %s', async (signal) => {
      const script = 'trap "echo no" TERM INT HUP; echo rea"dy"; while :; do sleep 1; done';
      const context = siege.context({ Buildfile: stepsOnBase(`run = ${JSON.stringify(script)}`) });
      const child = siege.kiln.start(['build', '--progress', 'plain', context]);
      const outcome = finished(child);
      child.stderr?.on('data', (bytes) => String(bytes).includes('ready') && signalGroup(child, signal));

      const ended = await outcome;
      siege.heard(ended);

      expect(ended).toMatchObject({ status: signal === 'SIGINT' ? 130 : 143, stdout: '' });
    });

    // Each does no harm to the machine where it is not refused, and ends with 0 there.
    it.each([
      'mount -t tmpfs none /mnt',
      'mount --bind / /mnt',
      'umount /proc',
      'unshare -Ur true',
      'unshare -m true',
      'nsenter -t 1 -m true',
      'hostname evil',
      'echo evil > /proc/sys/kernel/hostname',
      ': >> /proc/sys/kernel/panic',
      ': >> /proc/sysrq-trigger',
      ': >> /sys/kernel/profiling',
      'head -c 1 /proc/kcore | grep -q .',
      'dmesg',
      'mknod /disk b 7 0 && head -c 1 /disk',
      'renice -n -5 $$',
    ])('is refused: %s', async (script) => {
      const outcome = await run(`mkdir -p /mnt; ${script}`);

      expect(outcome).toMatchObject(refusal(3, /Buildfile:3/));
    });

    it('sees nothing of the machine', async () => {
      const outcome = await run(
        `! ls ${siege.outside} || exit 1; ls -d /proc/[0-9]* | wc -l; cat /proc/*/environ | tr '\\0' '\\n' | grep -c KILN || true; ls /dev; ls -l /proc/self/fd; id`,
      );

      expect(outcome).toMatchObject({ status: 0, stderr: expect.stringMatching(/^#\d+ \S+ 0$/m) });
      expect(outcome.stderr).not.toMatch(/\b(mem|kmsg|sda|vda|fuse|kvm)\b/);
      expect(outcome.stderr).not.toContain('socket:[');
      expect(outcome.stderr).not.toContain(siege.kiln.store);
    });

    it('symlinks where a step has its mounts and files', async () => {
      const links = ['run/secrets', 'cache', 'bound', 'work', 'etc/resolv.conf', 'etc/hosts', 'etc/hostname'];
      const mounts = [
        '{ secret = "token" }',
        '{ cache = "/cache/planted" }',
        '{ bind = ".", to = "/bound/planted" }',
        '{ tmpfs = "/work/tmp" }',
      ].join(', ');
      const context = siege.context({
        Buildfile: stepsOnBase(
          'copy = "links/", to = "/"',
          `run = "ls -l /run/secrets/token /bound/planted /cache/; rm -rf /cache/*/*", mounts = [${mounts}]`,
          'workdir = "/work/here"',
          'run = "pwd -P; echo x > made; rm -rf /cache/*"',
        ),
        'links/run/x': '',
        'links/etc/x': '',
      });
      for (const link of links) {
        symlinkSync(path.join(siege.outside, path.basename(link)), path.join(context, 'links', link));
      }

      const outcome = await siege.build(context, ['--secret', 'id=token,env=TOKEN'], { env: { TOKEN: secret } });

      expect(outcome).toMatchObject({ status: 0, stderr: expect.stringMatching(/ 22 .* \/run\/secrets\/token$/m) });
    });

    it('a /proc that is a symlink: what must not be read or written there still cannot be', async () => {
      const script =
        'test -r /proc/1/cmdline; ! head -c 1 /elsewhere/kcore | grep -q . || exit 1; ! (: >> /elsewhere/sys/kernel/panic) || exit 1; ! (: >> /elsewhere/sysrq-trigger)';
      const context = siege.context({
        Buildfile: stepsOnBase('copy = "links/", to = "/"', `run = "${script}"`),
        'links/a': '',
      });
      symlinkSync('/elsewhere', path.join(context, 'links/proc'));

      const outcome = await siege.build(context);

      expect(outcome).toMatchObject({ status: 0 });
    });

    it('names that belong to layers', async () => {
      expect(await run('touch /.wh.bin')).toMatchObject(refusal(2, /\.wh\.bin cannot be in a layer/));
    });

    it('a tree that is deeper than a path can say', async () => {
      const deeper = 'mkdir /a; for i in $(seq 1500); do mkdir /b; mv /a /b/ddd; mv /b /a; done';

      const outcome = await run(deeper);

      expect(outcome).toMatchObject(
        refusal(5, /could not be scanned: cannot go on below a\/ddd.*\n(.*\n)*.*Buildfile:3/),
      );
    });

    it('ten megabytes on one line, and bytes that are no text', async () => {
      const outcome = await run(
        "head -c 10000000 /dev/zero | tr '\\0' x; head -c 100000 /dev/urandom | tr -d '\\n'; exit 4",
      );

      expect(outcome.status).toBe(3);
      expect(outcome.stderr).toMatch(/Buildfile:3/);
    });

    it('twenty thousand files in one folder, taken away again', async () => {
      const outcome = await run(
        'mkdir /many; cd /many; i=0; while [ $i -lt 20000 ]; do : > $i; i=$((i+1)); done; cd /; rm -rf /many',
      );

      expect(outcome).toMatchObject({ status: 0 });
    });

    it('a build that is stopped while another one waits for its work', async () => {
      const context = siege.context({ Buildfile: stepsOnBase('run = "echo rea\'dy\'; sleep 30"') });
      const children = [1, 2].map(() => siege.kiln.start(['build', '--progress', 'plain', context]));
      const outcomes = Promise.all(children.map(finished));
      const { promise: isReady, resolve } = Promise.withResolvers<void>();
      for (const { stderr } of children) stderr?.on('data', (bytes) => String(bytes).includes('ready') && resolve());
      await isReady;
      for (const child of children) signalGroup(child, 'SIGINT');

      for (const outcome of await outcomes) {
        siege.heard(outcome);
        expect(outcome.status).toBe(130);
      }
    });
  },
);
