import { readdirSync, readFileSync, statSync, symlinkSync, utimesSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { accountKinds } from '../../test/account.ts';
import { missing } from '../../test/requirements.ts';
import type { SandboxSpec } from './sandbox.ts';
import { SandboxHarness } from './sandbox-harness.ts';

describe.skipIf(missing('overlay', 'busybox', 'cc', 'unprivileged-user')).each(accountKinds())(
  'a sandbox of %s',
  (kind) => {
    let harness: SandboxHarness;
    beforeAll(() => {
      harness = new SandboxHarness(kind);
    });
    afterAll(() => harness[Symbol.asyncDispose]());

    describe('the command', () => {
      it.each([
        ['true', 0],
        ['exit 7', 7],
        ['exit 125', 125],
        ['kill -KILL $$', 137],
        ['kill -TERM $$', 143],
      ])('%s ends with %i', async (script, exitCode) => {
        const result = await harness.run(harness.spec(['sh', '-c', script]));

        expect(result).toMatchObject({ exitCode, stdout: '', stderr: '' });
      });

      it('gets its arguments, environment, directory, host name and an empty standard input', async () => {
        const spec = harness.spec(
          ['sh', '-c', 'echo "$0" "$A" "$PWD"; hostname; cat; cat /etc/hostname', 'tab\tnew\nline'],
          {
            env: { PATH: '/bin', A: 'ä = \t' },
            cwd: '/bin',
          },
        );

        const result = await harness.run(spec);

        expect(Buffer.from(result.stdout, 'latin1').toString()).toBe('tab\tnew\nline ä = \t /bin\nbox\nbox\n');
      });

      it('has its two streams told apart, whole', async () => {
        const result = await harness.run(harness.spec(['sh', '-c', 'seq 1 50000; echo warning >&2']));

        expect(result.stdout.trimEnd().split('\n')).toHaveLength(50_000);
        expect(result.stderr).toBe('warning\n');
      });

      it.each([0, 65534])('can open its streams by name as user %i', async (uid) => {
        const user = { uid, gid: uid, additionalGids: [] };
        const script = 'echo a > /dev/stdout; echo b > /dev/stderr; echo c >> /proc/self/fd/1';
        const result = await harness.run(harness.spec(['sh', '-c', script], { user }));

        expect(result).toMatchObject({ exitCode: 0, stdout: 'a\nc\n', stderr: 'b\n' });
      });

      it('ends with what it wrote last, when it writes a lot and fast', async () => {
        const result = await harness.run(harness.spec(['sh', '-c', 'head -c 3000000 /dev/zero; echo end']));

        expect(result.stdout).toHaveLength(3_000_004);
        expect(result.stdout.endsWith('end\n')).toBe(true);
      });

      it.each([
        [['no-such-command'], 'SANDBOX_COMMAND_NOT_FOUND', '"no-such-command" is not there'],
        [['/bin/no-such-command'], 'SANDBOX_COMMAND_NOT_FOUND', '"/bin/no-such-command" is not there'],
        [['/bin'], 'SANDBOX_COMMAND_NOT_EXECUTABLE', '"/bin" cannot be run: Permission denied'],
      ])('%s is refused by %s', async (argv, code, message) => {
        const result = await harness.run(harness.spec(argv));

        expect(result.error).toMatchObject({
          code,
          message: expect.stringContaining(message),
          hint: expect.any(String),
        });
      });

      it('has its directory made when that is missing', async () => {
        const result = await harness.run(harness.spec(['sh', '-c', 'pwd; stat -c %a .. .'], { cwd: '/no/such' }));

        expect(result).toMatchObject({ exitCode: 0, stdout: '/no/such\n755\n755\n' });
      });

      it('is refused when its directory cannot be made, or leads out of the sandbox', async () => {
        for (const cwd of ['/bin/sh/x', '/proc/self/fd/3', '/proc/self/fd/5']) {
          const result = await harness.run(harness.spec(['true'], { cwd }));

          expect(result.error).toMatchObject({ code: 'SANDBOX_SETUP_FAILED', message: expect.stringContaining(cwd) });
        }
      });
    });

    describe('processes', () => {
      it('are reaped by a first process that is not the command', async () => {
        const script =
          '(sleep 0.01 & sleep 0.01 &) ; sleep 0.3; echo $$; grep -h ^State /proc/[0-9]*/status | grep -c Z || true';

        const [pid, zombies] = (await harness.output(script)).split('\n');

        expect(pid).not.toBe('1');
        expect(zombies).toBe('0');
      });

      it('see only each other, and no descriptor beyond the standard three', async () => {
        const [pids, descriptors] = (await harness.output('echo /proc/[0-9]*; echo /proc/self/fd/*')).split('\n');

        expect(pids).toBe('/proc/1 /proc/2');
        expect(descriptors).toMatch(
          /^\/proc\/self\/fd\/0 \/proc\/self\/fd\/1 \/proc\/self\/fd\/2( \/proc\/self\/fd\/3)?$/,
        );
      });

      it('have the default capabilities, no_new_privs and a seccomp filter', async () => {
        const status = await harness.output('cat /proc/self/status');

        const field = (name: string) => new RegExp(`^${name}:\\s*(.*)$`, 'm').exec(status)?.[1];
        expect([field('CapPrm'), field('CapEff'), field('CapBnd')]).toEqual(Array(3).fill('00000000a80425fb'));
        expect([field('CapInh'), field('CapAmb')]).toEqual(Array(2).fill('0000000000000000'));
        expect([field('NoNewPrivs'), field('Seccomp')]).toEqual(['1', '2']);
      });

      it('of another user have no capabilities and the groups that were asked for', async () => {
        const user = { uid: 1000, gid: 1001, additionalGids: [5, 27] };

        const output = await harness.output('id -u; id -G; grep -E "^Cap(Prm|Eff):" /proc/self/status', { user });

        expect(output).toBe('1000\n1001 5 27\nCapPrm:\t0000000000000000\nCapEff:\t0000000000000000');
      });

      it('may open as many files as programs are made for', async () => {
        expect(await harness.output('ulimit -n')).toBe('1024');
      });

      it('can be of a user only whose id there is here', async () => {
        const result = await harness.run(
          harness.spec(['true'], { user: { uid: 900_000, gid: 0, additionalGids: [] } }),
        );

        const refusal = { error: { code: 'SANDBOX_SETUP_FAILED', hint: expect.stringContaining('/etc/subuid') } };
        expect(result).toMatchObject(kind === 'root' ? { exitCode: 0 } : refusal);
      });
    });

    describe('the file system', () => {
      it('keeps mount points out of what the command changed', async () => {
        const layer = harness.folder('dangling');
        harness.folder('dangling/etc');
        const run = harness.folder('dangling/run');
        symlinkSync('../run/resolver/stub.conf', path.join(layer, 'etc/resolv.conf'));
        utimesSync(run, 1000, 1000);
        const source = harness.file(harness.folder('sources'), 'secret', 'secret');
        const folder = harness.folder('sources/folder');
        const script = 'cat /deep/er/secret; ls /etc/resolv.conf /deep/er/folder /cache; touch /made';
        const spec = harness.spec(['sh', '-ec', script], {
          layers: [path.join(harness.account.home, 'busybox'), layer],
          mounts: [
            { kind: 'bind', source, destination: '/deep/er/secret', readOnly: true },
            { kind: 'bind', source: folder, destination: '/deep/er/folder', readOnly: false },
            { kind: 'tmpfs', destination: '/cache/tmp' },
          ],
        });

        const result = await harness.run(spec);

        const upper = spec.writable?.upper ?? '';
        expect(result).toMatchObject({ exitCode: 0, stderr: '' });
        expect(result.stdout).toContain('secret/etc/resolv.conf');
        expect(readdirSync(upper, { recursive: true }).sort()).toEqual(['made', 'run']);
        expect(statSync(path.join(upper, 'run')).mtimeMs).toBe(1_000_000);
      });

      it('keeps what the command put beside a mount point that had to be made', async () => {
        const layer = harness.folder('linked');
        harness.folder('linked/target');
        symlinkSync('target', path.join(layer, 'link'));
        const spec = harness.spec(['sh', '-ec', 'touch /target/a/kept'], {
          layers: [path.join(harness.account.home, 'busybox'), layer],
          mounts: [{ kind: 'tmpfs', destination: '/link/a/b' }],
        });

        const result = await harness.run(spec);

        expect(result).toMatchObject({ exitCode: 0, stderr: '' });
        expect(readdirSync(spec.writable?.upper ?? '', { recursive: true }).sort()).toEqual([
          'target',
          'target/a',
          'target/a/kept',
        ]);
      });

      it('resolves links in destinations inside', async () => {
        const layer = harness.folder('escape');
        const outside = harness.folder('outside');
        symlinkSync(path.join('../../../../../../..', outside), path.join(layer, 'out'));
        const spec = harness.spec(['sh', '-ec', `ls ${outside}/tmp`], {
          layers: [path.join(harness.account.home, 'busybox'), layer],
          mounts: [{ kind: 'tmpfs', destination: '/out/tmp' }],
        });

        const result = await harness.run(spec);

        expect(result).toMatchObject({ exitCode: 0, stderr: '' });
        expect(readdirSync(outside)).toEqual([]);
      });

      it('hides and protects what belongs to the host', async () => {
        const script = [
          'ls -A /sys/firmware /sys/fs/cgroup; cat /proc/keys /proc/timer_list /proc/interrupts',
          'for f in /proc/sys/kernel/core_pattern /proc/sys/kernel/hostname /sys/kernel/x /dev/null/x; do',
          '  if (echo x > $f) 2>/dev/null; then echo wrote $f; fi',
          'done',
          'if chmod 600 /dev/null 2>/dev/null; then echo changed a device; fi',
          'echo gone > /dev/null; head -c 3 /dev/zero | tr "\\0" 0; cat /dev/null',
        ].join('\n');

        const output = await harness.output(script);

        expect(output).toBe('/sys/firmware:\n\n/sys/fs/cgroup:\n000');
      });

      it('lets no device node be used that was made inside', async () => {
        const script =
          'for d in / /dev /dev/shm; do mknod $d/zero-node c 1 5 && head -c 1 $d/zero-node || true; done 2>&1';

        const output = await harness.output(script);

        expect(output.split('\n')).toHaveLength(3);
        expect(output).not.toContain('\0');
      });

      it('binds folders and files, read-only where asked', async () => {
        const source = harness.folder('bound');
        harness.file(source, 'file', 'old');
        const script =
          'cat /ro/file /file; echo new > /rw/new; (echo x > /ro/x) 2>&1 || true; (echo x > /file) 2>&1 || true';

        const output = await harness.output(script, {
          mounts: [
            { kind: 'bind', source, destination: '/ro', readOnly: true },
            { kind: 'bind', source, destination: '/rw', readOnly: false },
            { kind: 'bind', source: path.join(source, 'file'), destination: '/file', readOnly: true },
          ],
        });

        expect(output).toMatch(/^oldold.*Read-only file system\n.*Read-only file system$/s);
        expect(readFileSync(path.join(source, 'new'), 'utf8')).toBe('new\n');
      });

      it('reports a source that is not there', async () => {
        const mounts = [{ kind: 'bind', source: '/no/such/source', destination: '/x', readOnly: true }] as const;

        const result = await harness.run(harness.spec(['true'], { mounts }));

        expect(result.error?.message).toContain('bind /no/such/source: No such file or directory');
      });

      it('gives a tmpfs of the size that was asked for', async () => {
        const mounts = [{ kind: 'tmpfs', destination: '/small', sizeBytes: 65_536 }] as const;

        const output = await harness.output('(head -c 70000 /dev/zero > /small/x) 2>&1 || echo full', { mounts });

        expect(output).toMatch(/full$/);
      });

      it('is read-only without a place for changes, or when asked', async () => {
        const spec = harness.spec(['sh', '-c', 'echo x > /x']);
        const { writable: _, ...readOnly } = spec;

        for (const result of [await harness.run(readOnly), await harness.run({ ...spec, readOnlyRoot: true })]) {
          expect(result).toMatchObject({ exitCode: 1, stderr: expect.stringContaining('Read-only file system') });
        }
      });

      it('may have no layers at all', async () => {
        const bin = path.join(harness.account.home, 'busybox/bin');
        const mounts = [{ kind: 'bind', source: bin, destination: '/bin', readOnly: true }] as const;
        const spec = harness.spec(['/bin/ls', '/'], { layers: [], mounts });
        const { writable: _, ...readOnly } = spec;

        for (const variant of [spec, readOnly]) {
          expect(await harness.run(variant)).toMatchObject({ exitCode: 0, stdout: 'bin\ndev\netc\nproc\nsys\n' });
        }
      });

      it('takes many layers with long paths, the last on top', async () => {
        const parent = harness.folder('x'.repeat(200), 'y'.repeat(200));
        const layers = Array.from({ length: 120 }, (_, index) => {
          const layer = path.join(parent, `layer-${index}`);
          harness.folder(path.relative(harness.account.home, layer));
          harness.file(layer, 'top', String(index));
          harness.file(layer, `file-${index}`, '');
          return layer;
        });
        const all = [path.join(harness.account.home, 'busybox'), ...layers];

        const spec = (): SandboxSpec =>
          harness.spec(['sh', '-c', 'cat /top; ls / | grep -c file-; echo x > /top'], { layers: all });
        const results = [await harness.run(spec()), await harness.run(spec(), { oldMountApi: true })];

        for (const result of results) expect(result).toMatchObject({ exitCode: 0, stdout: '119120\n', stderr: '' });
      });
    });

    describe('the network', () => {
      it('none is a loopback interface and names for it', async () => {
        const script =
          'awk -F: "NR > 2 { print \\$1 }" /proc/net/dev | tr -d " "; cat /etc/hosts; cat /etc/resolv.conf';

        const output = await harness.output(script);

        expect(output).toBe('lo\n127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n127.0.1.1\tbox');
      });

      it('host is that of the host', async () => {
        const interfaces = (text: string) =>
          text
            .split('\n')
            .slice(2)
            .map((line) => line.split(':')[0]?.trim())
            .filter(Boolean);

        const output = await harness.output('cat /proc/net/dev', { network: 'host' });

        expect(interfaces(output)).toEqual(interfaces(readFileSync('/proc/net/dev', 'utf8')));
        expect(await harness.output('cat /etc/hosts', { network: 'host' })).toBe(
          readFileSync('/etc/hosts', 'utf8').trim(),
        );
      });
    });

    it('leaves nothing behind', async () => {
      await harness.run(harness.spec(['sh', '-c', 'sleep 100 & sleep 100 & exit 3']));
      await delay(10);

      const scratch = readdirSync(harness.folder('scratch'));
      expect(scratch.filter((name) => !name.startsWith('skeleton-'))).toEqual([]);
      expect(readFileSync('/proc/self/mounts', 'utf8')).not.toContain(harness.account.home);
    });
  },
);
