import { describe, expect, it } from 'vitest';
import { processesWith } from '../../runtime/sandbox/sandbox-harness.ts';
import { accountKinds, signalGroup } from '../account.ts';
import { missing } from '../requirements.ts';
import { busyboxProject, finished, type Kiln, openKiln } from './kiln.ts';
import { stillRunning } from './nothing-left.ts';

const needs = ['busybox', 'unprivileged-user', 'overlay', 'pasta'] as const;

/** Steps on a base with a shell; titles end in their script. */
function app(kiln: Kiln, ...scripts: readonly string[]): string {
  const steps = scripts.map((script) => `  { run = ${JSON.stringify(script)} },\n`).join('');
  return busyboxProject(kiln.account, `app-${scripts.length}-${steps.length}`, {
    Buildfile: `from = "scratch"\nsteps = [
  { copy = "busybox", to = "/bin/busybox", mode = "0755" },
  { run = ["/bin/busybox", "sh", "-c", "/bin/busybox mkdir -m 1777 /tmp && /bin/busybox --install -s /bin"] },\n${steps}]\n`,
  });
}

/** A proxy that nothing listens at: its port is among the arguments of the process that makes the network. */
function markedProxy(): { readonly env: Readonly<Record<string, string>>; readonly marker: string } {
  const marker = String(20_000 + (process.pid % 10_000));
  return { env: { HTTP_PROXY: `http://127.0.0.1:${marker}` }, marker };
}

describe.skipIf(missing(...needs)).each(accountKinds())('as %s', (kind) => {
  it('steps have a network of their own, or what --network says', async () => {
    await using kiln = await openKiln(kind);
    const context = app(kiln, 'ls /sys/class/net | xargs echo interfaces');

    const run = async (...flags: string[]): Promise<string> => {
      const { status, stderr } = await kiln.run(['build', '--progress', 'plain', ...flags, context]);
      expect({ status, stderr }).toMatchObject({ status: 0 });
      return /^.*interfaces (.*)$/m.exec(stderr.replace(/^.*xargs.*$/gm, ''))?.[1] ?? '';
    };

    expect(await run()).toBe('eth0 lo');
    expect(await run('--network', 'none')).toBe('lo');
    expect(await run('--network', 'default', '--no-cache')).toBe('eth0 lo');
  });

  it('Ctrl-C and the end of a build take the network with them', async () => {
    await using kiln = await openKiln(kind);
    const { env, marker } = markedProxy();
    await kiln.ok(['build', app(kiln, 'true')], { env });
    const afterBuild = processesWith(marker);
    const child = kiln.start(['build', '--progress', 'plain', app(kiln, 'echo $((40 + 2)); sleep 60')], { env });
    const during: number[] = [];
    child.stderr?.on('data', (chunk) => {
      if (!/^.* 42$/m.test(String(chunk))) return;
      during.push(...processesWith(marker));
      signalGroup(child, 'SIGINT');
    });

    const outcome = await finished(child);

    expect(outcome.status).toBe(130);
    expect(during.length).toBeGreaterThan(0);
    expect(await stillRunning(kiln)).toEqual([]);
    expect([afterBuild, processesWith(marker)]).toEqual([[], []]);
  });

  it('limits reach a step, and those that nobody would enforce are refused', async () => {
    await using kiln = await openKiln(kind);
    const context = app(kiln, 'ulimit -n; df -k /dev/shm; dd if=/dev/zero of=/dev/null bs=100M count=1');

    const each = await kiln.run(['build', '--progress', 'plain', '--ulimit', 'nofile=77', '--shm-size', '5m', context]);
    const memory = await kiln.run(['build', '--no-cache', '--memory', '32m', context]);

    expect(each.status).toBe(0);
    expect(each.stderr).toMatch(/ 77$/m);
    expect(each.stderr).toMatch(/ 5120 /);
    // An ordinary user may limit memory only where systemd has delegated cgroups to them.
    const isRefused = kind !== 'root' && memory.status === 5;
    expect(memory.status).toBe(isRefused ? 5 : 3);
    expect(memory.stderr).toContain(isRefused ? '--memory cannot be enforced' : 'killed: out of memory, limit 32 MiB');
  });

  it('a step for another machine fails with what to do', async () => {
    await using kiln = await openKiln(kind);

    const { status, stderr } = await kiln.run(['build', '--platform', 'linux/loong64', app(kiln, 'true')]);

    expect(status).toBe(5);
    expect(stderr).toContain('linux/loong64');
    expect(stderr).toContain('qemu-user-static');
  });
});
