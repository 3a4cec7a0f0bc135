import { setTimeout as delay } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { accountKinds, signalGroup } from '../account.ts';
import { missing } from '../requirements.ts';
import { busyboxProject, finished, openKiln } from './kiln.ts';
import { stillRunning, unfinished } from './nothing-left.ts';

const steps = `
from = "scratch"
steps = [
  { copy = "busybox", to = "/bin/busybox", mode = "0755" },
  { run = ["/bin/busybox", "sh", "-c", "/bin/busybox mkdir -m 1777 /tmp && /bin/busybox --install -s /bin"] },
  { run = "sleep 0.1; dd if=/dev/urandom of=/random bs=64k count=64" },
  { copy = "data.txt", to = "/data.txt" },
  { run = "sleep 0.1; (sleep 30 &) ; cp /data.txt /tmp/copy" },
  { workdir = "/app" },
  { run = "sleep 0.1; rm /random; cat /data.txt > made" },
]
[image]
cmd = ["cat", "/app/made"]
`;

const files = { Buildfile: steps, 'data.txt': 'data\n' };
const needs = ['busybox', 'unprivileged-user', 'overlay'] as const;
const kills = 10;

describe.each(accountKinds())('as %s', (kind) => {
  it.skipIf(missing(...needs))(
    'SIGKILL at any moment of a build leaves a store that builds, and nothing else',
    async () => {
      await using kiln = await openKiln(kind);
      const context = busyboxProject(kiln.account, 'app', files);
      const build = ['build', '--no-cache', '-t', 'app:1', context];
      const startedMs = performance.now();
      await kiln.ok(build);
      const wholeMs = performance.now() - startedMs;

      for (const fraction of fractions(kills)) {
        const child = kiln.start(build);
        const outcome = finished(child);
        await delay(fraction * wholeMs);
        child.kill('SIGKILL');
        await outcome;
        expect(await stillRunning(kiln), `after SIGKILL at ${fraction.toFixed(2)} of the build`).toEqual([]);
      }

      await kiln.ok(build);
      expect(await stillRunning(kiln)).toEqual([]);
      expect(unfinished(kiln)).toEqual([]);
      expect(await kiln.ok(['run', '--rm', 'app:1'])).toBe('data\n');
    },
  );

  it.skipIf(missing(...needs))('Ctrl-C ends a build with 130 and leaves nothing', async () => {
    await using kiln = await openKiln(kind);
    const slow = { ...files, Buildfile: steps.replaceAll('sleep 0.1', 'echo waiting; sleep 60') };
    const child = kiln.start(['build', '--progress', 'plain', busyboxProject(kiln.account, 'app', slow)]);
    // A line of the step's output, not its title.
    child.stderr?.on('data', (chunk) => / waiting$/m.test(String(chunk)) && signalGroup(child, 'SIGINT'));

    const outcome = await finished(child);

    expect(outcome.status).toBe(130);
    expect(outcome.stderr).not.toMatch(/^\s+at /m);
    expect(await stillRunning(kiln)).toEqual([]);
    expect(unfinished(kiln)).toEqual([]);
  });

  it.skipIf(missing(...needs))('Ctrl-C ends a container in the foreground', async () => {
    await using kiln = await openKiln(kind);
    await kiln.ok(['build', '-t', 'app:1', busyboxProject(kiln.account, 'app', files)]);
    const child = kiln.start(['run', '--rm', 'app:1', 'sh', '-c', 'echo waiting; exec sleep 60']);
    child.stdout?.on('data', () => signalGroup(child, 'SIGINT'));

    const outcome = await finished(child);

    expect(outcome).toMatchObject({ status: 130, stdout: 'waiting\n' });
    expect(await stillRunning(kiln)).toEqual([]);
    expect(unfinished(kiln)).toEqual([]);
  });
});

/** Moments spread over the build, the same in every run: the golden ratio's multiples, without their whole part. */
function fractions(count: number): readonly number[] {
  return Array.from({ length: count }, (_, at) => ((at + 1) * 0.618_033_988_75) % 1);
}
