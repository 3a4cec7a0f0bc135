import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { canRun } from '../../runtime/index.ts';
import { missing } from '../../test/requirements.ts';
import { openTestWorkshop, type TestWorkshop } from '../../test/workshop.ts';

describe.skipIf(missing('overlay', 'busybox', 'cc', 'root', 'pasta'))('what a step has of the machine', () => {
  let bench: TestWorkshop;
  beforeAll(async () => {
    bench = await openTestWorkshop();
  });
  afterAll(() => bench[Symbol.asyncDispose]());

  it('is a network of its own by default, which a step may have otherwise', async () => {
    const build = await bench.build(
      `from = "busybox"
      steps = [
        { run = "test -e /sys/class/net/eth0 && grep -q 192.0.0.100 /proc/net/fib_trie" },
        { run = "test ! -e /sys/class/net/eth0", network = "none" },
      ]`,
      { network: 'default' },
    );

    expect(build.ran).toHaveLength(3);
  });

  it('includes a proxy on loopback that whoever builds has set, and none that a Buildfile sets', async () => {
    const server = createServer((_, response) => response.setHeader('Connection', 'close').end('through the proxy'));
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    try {
      const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
      const ask = `timeout 2 wget -q -O - ${url}/ > /dev/null`;

      const build = await bench.build(`from = "busybox"\nsteps = [{ run = "unset http_proxy; ${ask}" }]`, {
        network: 'default',
        proxies: { http_proxy: url },
      });
      const refused = bench.build(
        `from = "busybox"\nsteps = [{ run = "unset http_proxy; ${ask}", env = { http_proxy = "${url}" } }]`,
        { network: 'default' },
      );

      expect(build.ran).toHaveLength(2);
      await expect(refused).rejects.toMatchObject({ code: 'STEP_FAILED' });
    } finally {
      server.close();
      await once(server, 'close');
    }
  });

  it('is as much memory as allowed; beyond that the step fails and says why', async () => {
    const failing = bench.build(
      `from = "busybox"\nsteps = [{ run = "dd if=/dev/zero of=/dev/null bs=100M count=1" }]`,
      { limits: { memoryBytes: 32 << 20 } },
    );

    await expect(failing).rejects.toMatchObject({
      code: 'STEP_FAILED',
      output: expect.toSatisfy((bytes: Buffer) => bytes.toString().includes('killed: out of memory, limit 32 MiB')),
    });
  });

  it('limits nothing that a cache knows already: limits are in no key', async () => {
    const text = `from = "busybox"\nsteps = [{ run = "echo limited > /x" }]`;
    await bench.build(text, { limits: { pids: 50 } });

    const again = await bench.build(text, { limits: { pids: 60, memoryBytes: 1 << 28 } });

    expect(again.cached).toContainEqual(expect.stringContaining('echo limited'));
  });

  it('is not the other architecture of a stage, unless the step has nothing to run', async () => {
    const foreign = ['s390x', 'riscv64', 'arm64', 'amd64'].map((architecture) => ({ os: 'linux', architecture }));
    const able = await Promise.all(foreign.map((platform) => canRun(platform)));
    const { architecture = 'none' } = foreign[able.indexOf(false)] ?? {};
    const platforms = [`linux/${architecture}`];
    await bench.put({ file: 'content' });

    const copied = await bench.build(
      'from = "scratch"\nsteps = [{ copy = "file", to = "/file" }, { workdir = "/w" }]',
      {
        platforms,
      },
    );
    const running = ['run', 'test'].map((verb) =>
      bench.build(`from = "scratch"\nsteps = [{ copy = "file" }, { ${verb} = ["/file"] }]`, { platforms }),
    );

    expect(copied.image.config.architecture).toBe(architecture);
    for (const build of running) {
      await expect(build).rejects.toMatchObject({
        code: 'PLATFORM_CANNOT_RUN',
        message: expect.stringContaining(`linux/${architecture}`),
        hint: expect.stringContaining('qemu-user-static'),
      });
    }
  });
});
