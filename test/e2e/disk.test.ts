import { describe, expect, it } from 'vitest';
import { accountKinds, signalGroup } from '../account.ts';
import { missing } from '../requirements.ts';
import { busyboxProject, finished, openKiln, project } from './kiln.ts';
import { stillRunning } from './nothing-left.ts';

const megabyte = 1024 ** 2;

describe.skipIf(missing('busybox', 'unprivileged-user', 'overlay')).each(accountKinds())('as %s', (kind) => {
  it('shows what the store takes, and keeps it below a cap without harming what runs', async () => {
    await using kiln = await openKiln(kind);
    await kiln.ok(['build', '-t', 'base:1', busyboxProject(kiln.account, 'base')]);
    const fill = (name: string) =>
      project(kiln.account, name, {
        Buildfile: `from = "base:1"\nsteps = [{ run = "head -c ${4 * megabyte} /dev/urandom > /${name}" }]\n`,
      });
    for (const name of ['a', 'b', 'c']) await kiln.ok(['build', fill(name)]);
    const before = JSON.parse(await kiln.ok(['df', '--json']));

    const running = kiln.start(['run', '--rm', 'base:1', 'sh', '-c', 'echo up; sleep 60']);
    await new Promise<void>((resolve) => running.stdout?.once('data', () => resolve()));
    const cap = before.totalBytes - 14 * megabyte;
    const pruned = await kiln.run(['prune', '--json', '--max-size', String(cap)]);
    const inside = await kiln.ok(['run', '--rm', 'base:1', 'ls', '/bin/busybox']);
    const outcome = finished(running);
    signalGroup(running, 'SIGTERM');
    await outcome;
    const after = JSON.parse(await kiln.ok(['df', '--json']));
    const third = await kiln.run(['build', '--progress', 'plain', fill('c')]);
    const impossible = await kiln.run(['prune', '--max-size', '1k']);

    expect(before.totalBytes).toBeGreaterThan(24 * megabyte);
    expect(pruned.status).toBe(0);
    expect(after.totalBytes).toBeLessThanOrEqual(cap + megabyte / 4);
    expect(inside).toContain('/bin/busybox');
    // c was used last: its layer is still there, a's is not.
    expect(third.stderr).toContain('CACHED');
    expect(impossible).toMatchObject({ status: 5, stderr: expect.stringContaining('kiln rmi') });
    expect(await kiln.ok(['run', '--rm', 'base:1', 'echo', 'whole'])).toBe('whole\n');
    expect(await stillRunning(kiln)).toEqual([]);
  });

  it('removes everything that can be made again, and makes it again', async () => {
    await using kiln = await openKiln(kind);
    await kiln.ok(['build', '-t', 'base:1', busyboxProject(kiln.account, 'base')]);
    const context = project(kiln.account, 'app', {
      Buildfile: 'from = "base:1"\nsteps = [{ run = "echo made > /made" }]\n',
    });
    const first = await kiln.ok(['build', '-t', 'app:1', context]);

    const dry = await kiln.ok(['prune', '--all', '--dry-run']);
    await kiln.ok(['prune', '--all']);
    const table = await kiln.ok(['df']);

    expect(dry).toMatch(/Would free/);
    expect(table).toMatch(/^TYPE +COUNT +SIZE +RECLAIMABLE\n/);
    expect(await kiln.ok(['run', '--rm', 'app:1', 'cat', '/made'])).toBe('made\n');
    expect(await kiln.ok(['build', '-t', 'app:1', context])).toBe(first);
  });
});
