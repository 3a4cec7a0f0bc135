import { once } from 'node:events';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { accountKinds } from '../../test/account.ts';
import { missing, mustSkip } from '../../test/requirements.ts';
import { processesWith, SandboxHarness, waitForLine } from '../sandbox/sandbox-harness.ts';
import { findPlaces } from './cgroup-place.ts';
import { parseHierarchies } from './hierarchies.ts';
import type { Controller } from './limit-settings.ts';

const skips = missing('overlay', 'busybox', 'cc', 'unprivileged-user');
const mebibyte = 1 << 20;

async function placeOf(controller: Controller) {
  const [mountInfo, membership] = [
    readFileSync('/proc/self/mountinfo', 'utf8'),
    readFileSync('/proc/self/cgroup', 'utf8'),
  ];
  const [place] = await findPlaces(parseHierarchies(mountInfo, membership), [controller]);
  if (place === undefined) throw new Error(`there is no place for ${controller}`);
  return place;
}

/** Those of sandboxes; of others, too, that run at the same time. */
async function cgroupsFor(controller: Controller): Promise<readonly string[]> {
  const { folder } = await placeOf(controller);
  return readdirSync(folder)
    .filter((name) => name.startsWith('kiln-'))
    .map((name) => path.join(folder, name));
}

function cgroupOf(pid: number, folders: readonly string[]): string | undefined {
  return folders.find((folder) =>
    readFileSync(path.join(folder, 'cgroup.procs'), 'utf8').split('\n').includes(String(pid)),
  );
}

async function whyNoCgroups(): Promise<readonly string[]> {
  try {
    for (const controller of ['memory', 'cpu', 'pids'] as const) await placeOf(controller);
    return [];
  } catch (error) {
    return [String(error)];
  }
}

describe.skipIf(skips || missing('root') || mustSkip(await whyNoCgroups()))('a sandbox with limits', () => {
  let harness: SandboxHarness;
  beforeAll(() => {
    harness = new SandboxHarness('root');
  });
  afterAll(() => harness[Symbol.asyncDispose]());

  it('that takes more memory is killed, and says so', async () => {
    const argv = ['dd', 'if=/dev/zero', 'of=/dev/null', 'bs=100M', 'count=1'];

    const result = await harness.run(harness.spec(argv, { limits: { memoryBytes: 32 * mebibyte } }));

    expect(result).toMatchObject({ exitCode: 137, limitHits: [{ limit: 'memory', bytes: 32 * mebibyte }] });
  });

  it('counts what is written to a tmpfs as memory', async () => {
    const script = 'dd if=/dev/zero of=/dev/shm/x bs=1M count=60';

    const result = await harness.run(harness.spec(['sh', '-c', script], { limits: { memoryBytes: 16 * mebibyte } }));

    expect(result.limitHits).toEqual([{ limit: 'memory', bytes: 16 * mebibyte }]);
  });

  it('does not disturb a command that stays below them', async () => {
    const script = 'dd if=/dev/zero of=/dev/null bs=10M count=1 2> /dev/null && echo done';
    const limits = { memoryBytes: 64 * mebibyte, cpus: 1, pids: 10 };

    const result = await harness.run(harness.spec(['sh', '-c', script], { limits }));

    expect(result).toMatchObject({ exitCode: 0, stdout: 'done\n', limitHits: [] });
  });

  it('keeps a fork bomb small, and ends it', async () => {
    const script = 'bomb() { bomb | bomb & }; bomb 2> /dev/null; sleep 1; ps | grep -c sh';

    const result = await harness.run(harness.spec(['sh', '-c', script], { limits: { pids: 20 } }));

    expect(result.limitHits).toEqual([{ limit: 'pids', count: 20 }]);
  });

  it('may have as many processes as asked for, and no more', async () => {
    const script = 'for i in 1 2 3 4 5; do sleep 100 & done; echo started';

    const enough = await harness.run(harness.spec(['sh', '-c', script], { limits: { pids: 6 } }));
    const few = await harness.run(harness.spec(['sh', '-c', script], { limits: { pids: 5 } }));

    expect(enough).toMatchObject({ exitCode: 0, stdout: 'started\n', limitHits: [] });
    expect(few.limitHits).toEqual([{ limit: 'pids', count: 5 }]);
  });

  it('is in its cgroups before the command begins, which are gone afterwards', async () => {
    const seconds = `1000.${process.pid}`;
    const spec = harness.spec(['sh', '-c', `sleep ${seconds} & echo ready; read x < /dev/zero`], {
      limits: { cpus: 0.5 },
    });
    const { child } = harness.start(spec, { stdio: 'inherit', abortAfterMs: 2000 });
    await waitForLine(child, 'ready');
    await expect.poll(() => processesWith(seconds)).not.toEqual([]);
    const cgroup = cgroupOf(processesWith(seconds).at(-1) ?? 0, await cgroupsFor('cpu')) ?? '';

    const v1 = existsSync(path.join(cgroup, 'cpu.cfs_quota_us'));
    const quota = readFileSync(path.join(cgroup, v1 ? 'cpu.cfs_quota_us' : 'cpu.max'), 'utf8');
    await once(child, 'close');

    expect(quota).toMatch(/^50000\b/);
    expect(existsSync(cgroup)).toBe(false);
  });

  it('leaves cgroups when Kiln is killed that the next one removes', async () => {
    const seconds = `1001.${process.pid}`;
    const spec = harness.spec(['sh', '-c', `echo ready; sleep ${seconds}`], { limits: { pids: 30 } });
    const { child } = harness.start(spec, { stdio: 'inherit' });
    await waitForLine(child, 'ready');
    await expect.poll(() => processesWith(seconds)).not.toEqual([]);
    const cgroup = cgroupOf(processesWith(seconds).at(-1) ?? 0, await cgroupsFor('pids')) ?? 'none';
    child.kill('SIGKILL');
    await expect.poll(() => processesWith(seconds), { timeout: 3000 }).toEqual([]);
    const before = existsSync(cgroup);

    await expect
      .poll(async () => {
        await harness.output('true', { limits: { pids: 30 } });
        return existsSync(cgroup);
      })
      .toBe(false);

    expect(before).toBe(true);
  });

  it('refuses a value that the kernel refuses, and leaves nothing', async () => {
    const before = await cgroupsFor('pids');

    const result = await harness.run(harness.spec(['true'], { limits: { pids: 2 ** 40 } }));

    expect(result.error).toMatchObject({ code: 'ENVIRONMENT_LIMITS', message: expect.stringContaining('pids') });
    expect((await cgroupsFor('pids')).filter((folder) => !before.includes(folder))).toEqual([]);
  });
});

describe.skipIf(skips).each(accountKinds())('a sandbox of %s', (kind) => {
  let harness: SandboxHarness;
  beforeAll(() => {
    harness = new SandboxHarness(kind);
  });
  afterAll(() => harness[Symbol.asyncDispose]());

  it('has the shared memory and the resource limits it was given', async () => {
    const ulimits = new Map([
      ['nofile', { soft: 100, hard: 200 }],
      ['core', { soft: 0, hard: 0 }],
    ]);

    const output = await harness.output('ulimit -n; ulimit -Hn; ulimit -Hc; df -k /dev/shm | tail -n 1', {
      limits: { shmBytes: 3 * mebibyte, ulimits },
    });

    expect(output).toMatch(/^100\n200\n0\n\S+ +3072 /);
  });

  it('is either limited or refused: never run without the limit it was given', async () => {
    const argv = ['dd', 'if=/dev/zero', 'of=/dev/null', 'bs=100M', 'count=1'];

    const result = await harness.run(harness.spec(argv, { limits: { memoryBytes: 32 * mebibyte } }));

    const refused = {
      code: 'ENVIRONMENT_LIMITS',
      message: expect.stringContaining('--memory'),
      hint: expect.stringContaining('as root'),
    };
    expect(result).toMatchObject(result.error === undefined ? { exitCode: 137 } : { error: refused });
  });

  it('may raise a hard limit only with the capability for it', async () => {
    const limits = { ulimits: new Map([['memlock', { soft: -1, hard: -1 }]]) };
    // In a container root may lack it, too.
    const effective = /^CapEff:\s*(\S+)$/m.exec(readFileSync('/proc/self/status', 'utf8'))?.[1] ?? '0';
    const maySucceed = kind === 'root' && ((BigInt(`0x${effective}`) >> 24n) & 1n) === 1n;

    const { argv, result } = harness.command(harness.spec(['grep', 'locked', '/proc/self/limits'], { limits }));
    const outcome = await harness.account.run(['sh', '-c', 'ulimit -l 64; exec "$@"', 'sh', ...argv]);

    expect(outcome.stderr).toBe('');
    expect(result()).toMatchObject(
      maySucceed
        ? { exitCode: 0, stdout: expect.stringMatching(/unlimited +unlimited/) }
        : { error: { code: 'ENVIRONMENT_LIMITS', message: expect.stringContaining('memlock') } },
    );
  });
});
