import { spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { accountKinds } from '../../test/account.ts';
import { missing } from '../../test/requirements.ts';
import { processesWith, SandboxHarness, waitForLine } from './sandbox-harness.ts';

const skips = missing('overlay', 'busybox', 'cc', 'unprivileged-user');

/** An argument of `sleep` that no other process has. */
function uniqueSeconds(): string {
  return `1000.${randomBytes(4).readUInt32LE()}`;
}

async function waitUntilStarted(marker: string): Promise<readonly number[]> {
  for (let waitedMs = 0; waitedMs < 2000 && processesWith(marker).length === 0; waitedMs += 20) await delay(20);
  return processesWith(marker);
}

async function waitUntilGone(marker: string, timeoutMs: number): Promise<readonly number[]> {
  for (let waitedMs = 0; waitedMs < timeoutMs && processesWith(marker).length > 0; waitedMs += 20) await delay(20);
  return processesWith(marker);
}

describe.skipIf(skips).each(accountKinds())('a sandbox of %s', (kind) => {
  let harness: SandboxHarness;
  beforeAll(() => {
    harness = new SandboxHarness(kind);
  });
  afterAll(() => harness[Symbol.asyncDispose]());

  it('dies with the process that made it', async () => {
    const seconds = uniqueSeconds();
    const script = `sleep ${seconds} & trap "" TERM HUP INT; echo ready; sleep ${seconds}`;
    const { child } = harness.start(harness.spec(['sh', '-c', script]), { stdio: 'inherit' });
    await waitForLine(child, 'ready');
    const before = await waitUntilStarted(seconds);

    child.kill('SIGKILL');
    const after = await waitUntilGone(seconds, 2000);

    expect(before.length).toBeGreaterThan(0);
    expect(after).toEqual([]);
  });

  it('is dead within a second of being aborted, and says why', async () => {
    const seconds = uniqueSeconds();
    const script = `sleep ${seconds} & trap "" TERM HUP INT; sleep ${seconds}; sleep ${seconds}`;
    const spec = harness.spec(['sh', '-c', script]);

    const result = await harness.run(spec, { abortAfterMs: 300 });

    expect(processesWith(seconds)).toEqual([]);
    expect(result.error?.name).toBe('TimeoutError');
    expect(result.elapsedMs).toBeGreaterThanOrEqual(290);
    expect(result.elapsedMs).toBeLessThan(1300);
  });

  it.each(['SIGTERM', 'SIGINT', 'SIGHUP', 'SIGQUIT'] as const)('is told of %s once', async (signal) => {
    const script = `trap 'echo caught; exit 42' ${signal.slice(3)}; echo ready; while :; do sleep 0.05; done`;
    const spec = harness.spec(['sh', '-c', script]);
    const { child, result } = harness.start(spec, { stdio: 'inherit', forwardSignals: true });
    await waitForLine(child, 'ready');

    const closed = once(child, 'close');
    child.kill(signal);
    await waitForLine(child, 'caught');
    await closed;

    expect(result().exitCode).toBe(42);
  });

  it('ends by a signal that its command does not handle', async () => {
    const spec = harness.spec(['sh', '-c', 'echo ready; exec sleep 100']);
    const { child, result } = harness.start(spec, { stdio: 'inherit', forwardSignals: true });
    await waitForLine(child, 'ready');

    const closed = once(child, 'close');
    child.kill('SIGTERM');
    await closed;

    expect(result().exitCode).toBe(143);
  });

  it('has a terminal when asked: size, keys, interrupt and exit status', async () => {
    const script =
      'tty; ls -l /dev/console; stty size; read line; echo "got $line"; trap "exit 9" INT; echo now; sleep 100';
    const { argv, result } = harness.command(harness.spec(['sh', '-c', script], { terminal: true }), {
      stdio: 'inherit',
      forwardSignals: true,
    });
    const command = `stty rows 33 cols 99; ${argv.map((word) => `'${word.replaceAll("'", "'\\''")}'`).join(' ')}; stty -a`;
    const file = harness.file(harness.account.home, 'terminal.sh', command);
    // The keys come when the program on the other end has had time to ask for them.
    const keys = "sleep 2; printf 'hello\\n'; sleep 0.5; printf '\\003'; sleep 1";

    const outcome = await harness.account.run(['sh', '-c', `(${keys}) | script -qec 'sh ${file}' /dev/null`]);

    expect(outcome.stdout).toContain('/dev/pts/0');
    expect(outcome.stdout).toMatch(/crw--w---- .* \/dev\/console/);
    expect(outcome.stdout).toContain('33 99');
    expect(outcome.stdout).toContain('got hello');
    expect(outcome.stdout).toMatch(/[^-]icanon/);
    expect(result().exitCode).toBe(9);
  });

  it('cannot make system calls that the profile refuses', async () => {
    const layer = harness.folder('probe');
    const source = harness.file(
      layer,
      'probe.c',
      readFileSync(path.join(import.meta.dirname, 'seccomp-probe.c'), 'utf8'),
    );
    const compiled = spawnSync('cc', ['-static', '-o', path.join(layer, 'probe'), source], { encoding: 'utf8' });
    expect(compiled.stderr).toBe('');

    const output = await harness.output('/probe', { layers: [path.join(harness.account.home, 'busybox'), layer] });

    const refused = 'mount unshare setns keyctl add_key bpf io_uring_setup clone-newuser socket-vsock'.split(' ');
    const unimplemented = ['clone3', 'number-4000', ...(process.arch === 'x64' ? ['x32', 'i386'] : [])];
    const allowed = ['getpid', 'socket-inet', 'personality'];
    expect(output.split('\n').sort()).toEqual(
      [
        ...refused.map((name) => `${name} EPERM`),
        ...unimplemented.map((name) => `${name} ENOSYS`),
        ...allowed.map((name) => `${name} ok`),
      ].sort(),
    );
  });

  it('cannot have the launcher as its interpreter and change it', async () => {
    const launcher = path.resolve(import.meta.dirname, '../../dist/native/kiln-launcher');
    const before = readFileSync(launcher);
    const layer = harness.folder('interpreter');
    harness.file(layer, 'script', '#!/proc/self/exe run\n', 0o755);
    const layers = [path.join(harness.account.home, 'busybox'), layer];

    const result = await harness.run(harness.spec(['/script'], { layers }));

    expect(result).toMatchObject({ exitCode: 125, stdout: '' });
    expect(readFileSync(launcher).equals(before)).toBe(true);
  });
});

describe.skipIf(skips)('the launcher', () => {
  it('refuses a list of operations that is broken', async () => {
    await using harness = new SandboxHarness('unprivileged');
    const launcher = path.resolve(import.meta.dirname, '../../dist/native/kiln-launcher');
    const encoded = (list: string) => `${Buffer.byteLength(list)}\0${list}`;
    const lists = [
      ...['', 'x', '99999999999\0', '-1\0', '5\0ab', '0\0', '3\0abc', 'a'.repeat(100)],
      ...['nothing\0', 'layer\0', 'namespace\0mount\0', 'namespace\0moon\0', 'arg\0true\0'].map(encoded),
    ];
    for (const list of lists) {
      const file = path.join(harness.account.home, 'list');
      writeFileSync(file, list);

      const outcome = await harness.account.run(['unshare', '-Ur', 'sh', '-c', `exec 3<${file}; exec ${launcher} run`]);

      expect({ list, status: outcome.status }).toEqual({ list, status: 125 });
      expect(outcome.stderr).toMatch(/^kiln-launcher: /);
    }
  });
});
