import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { networkInterfaces } from 'node:os';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { accountKinds } from '../../test/account.ts';
import { findProgram, missing, mustSkip } from '../../test/requirements.ts';
import { processesWith, SandboxHarness, waitForLine } from '../sandbox/sandbox-harness.ts';
import { sandboxAddresses } from './addresses.ts';

/** One of this machine that is not loopback: what is bound to it is as reachable as another machine. */
const ownAddress = Object.values(networkInterfaces())
  .flatMap((addresses) => addresses ?? [])
  .find(({ family, internal }) => family === 'IPv4' && !internal)?.address;

const skips =
  missing('overlay', 'busybox', 'cc', 'unprivileged-user', 'pasta') ||
  mustSkip(ownAddress === undefined ? ['this machine has no address but loopback'] : []);

const servers: Server[] = [];
afterEach(async () => {
  for (const server of servers.splice(0)) {
    server.close();
    await once(server, 'close');
  }
});

/** Answers every request with `text`. */
async function listen(host: string, text: string): Promise<number> {
  const server = createServer((_, response) => response.setHeader('Connection', 'close').end(text));
  servers.push(server);
  server.listen(0, host);
  await once(server, 'listening');
  return (server.address() as AddressInfo).port;
}

/** Shell command that prints what a server says, or `no`. */
function ask(host: string, port: number): string {
  return `timeout 2 wget -q -O - http://${host}:${port}/ 2> /dev/null || echo no`;
}

async function waitUntilGone(marker: string): Promise<readonly number[]> {
  await expect.poll(() => processesWith(marker), { timeout: 3000 }).toEqual([]);
  return processesWith(marker);
}

describe.skipIf(skips).each(accountKinds())('the default network of a sandbox of %s', (kind) => {
  let harness: SandboxHarness;
  beforeAll(() => {
    harness = new SandboxHarness(kind);
  });
  afterAll(() => harness[Symbol.asyncDispose]());

  it('reaches the outside by TCP, with the same addresses on every machine', async () => {
    const port = await listen(ownAddress ?? '', 'from outside\n');

    const output = await harness.output(`${ask(ownAddress ?? '', port)}; ip -o -4 addr; ip route`, {
      network: 'default',
    });

    const lines = output.split('\n').map((line) => line.replace(/\\.*$/, '').trim());
    expect(lines).toEqual([
      'from outside',
      '1: lo    inet 127.0.0.1/8 scope host lo',
      '2: eth0    inet 192.0.0.100/24 scope global eth0',
      'default via 192.0.0.2 dev eth0',
      '192.0.0.0/24 dev eth0 scope link  src 192.0.0.100',
    ]);
  });

  it('does not reach what listens on loopback, neither there nor through the gateway', async () => {
    const port = await listen('127.0.0.1', 'secret');
    const port6 = await listen('::1', 'secret');
    const tries = [
      ask('127.0.0.1', port),
      ask(sandboxAddresses.gateway, port),
      ask(sandboxAddresses.nameServer, port),
      ask(ownAddress ?? '', port),
      ask('[::1]', port6),
      ask(`[${sandboxAddresses.gateway6}]`, port6),
    ];

    const output = await harness.output(tries.join('\n'), { network: 'default' });

    expect(output.split('\n')).toEqual(tries.map(() => 'no'));
  });

  it('leads to a loopback port that was asked for, and to that one only', async () => {
    const port = await listen('127.0.0.1', 'proxy\n');
    const other = await listen('127.0.0.1', 'other\n');

    const output = await harness.output(`${ask('127.0.0.1', port)}; ${ask('127.0.0.1', other)}`, {
      network: 'default',
      loopbackPorts: [port],
    });

    expect(output).toBe('proxy\nno');
  });

  it('keeps the capability for raw sockets, which reach no traffic but its own', async () => {
    expect(await harness.output('grep CapEff /proc/self/status', { network: 'default' })).toMatch(/a80425fb$/);
  });

  it('is gone when the command has ended', async () => {
    const port = await listen('127.0.0.1', '');

    const output = await harness.output('cat /proc/net/dev', { network: 'default', loopbackPorts: [port] });

    expect(output).toContain('eth0');
    expect(processesWith(String(port))).toEqual([]);
  });

  it.each(['abort', 'SIGKILL'] as const)('is gone after %s', async (end) => {
    const port = await listen('127.0.0.1', '');
    const spec = harness.spec(['sh', '-c', 'echo ready; exec sleep 100'], {
      network: 'default',
      loopbackPorts: [port],
    });
    const abort = end === 'abort' ? { abortAfterMs: 1500 } : {};
    const { child } = harness.start(spec, { stdio: 'inherit', ...abort });
    await waitForLine(child, 'ready');
    const before = processesWith(String(port));

    const closed = once(child, 'close');
    if (end === 'SIGKILL') child.kill('SIGKILL');
    await closed;

    expect(before.length).toBeGreaterThan(0);
    expect(await waitUntilGone(String(port))).toEqual([]);
  });

  it('says what its program says when that fails', async () => {
    const file = harness.file(harness.account.home, 'failing', '#!/bin/sh\necho "no luck" >&2; exit 3\n', 0o755);
    const outsideWay = { kind: 'pasta', file, routes: { ipv4: true, ipv6: false } } as const;

    const result = await harness.run(harness.spec(['true'], { network: 'default' }), { outsideWay });

    expect(result.error).toMatchObject({
      code: 'SANDBOX_SETUP_FAILED',
      message: `the sandbox could not be set up: connect the network by ${file}: no luck`,
      hint: expect.stringContaining('--network host'),
    });
  });

  it('is the network of the host where there is nothing better, without raw sockets', async () => {
    const outsideWay = { kind: 'host', why: 'a test' } as const;
    const script = 'cat /proc/net/dev | grep -c :; grep CapEff /proc/self/status';

    const result = await harness.run(harness.spec(['sh', '-c', script], { network: 'default' }), { outsideWay });
    const host = await harness.run(harness.spec(['sh', '-c', script], { network: 'host' }));

    expect(result.stdout).toBe(host.stdout);
    expect(result.stdout).toMatch(/a80405fb\n$/);
  });

  it.skipIf(findProgram('slirp4netns') === undefined)('is made by slirp4netns where pasta is missing', async () => {
    const port = await listen(ownAddress ?? '', 'from outside\n');
    const secret = await listen('127.0.0.1', 'secret');
    const file = findProgram('slirp4netns') ?? '';
    const outsideWay = { kind: 'slirp4netns', file, routes: { ipv4: true, ipv6: false } } as const;
    const script = `${ask(ownAddress ?? '', port)}; ${ask(sandboxAddresses.gateway, secret)}`;

    const result = await harness.run(harness.spec(['sh', '-ec', script], { network: 'default' }), { outsideWay });

    expect(result).toMatchObject({ exitCode: 0, stdout: 'from outside\nno\n' });
  });
});

describe.skipIf(skips || missing('root'))('names on the default network', () => {
  it('are asked of a server on the loopback of this machine', async () => {
    await using harness = new SandboxHarness('root');
    const socket = createSocket('udp4', (query, { port, address }) => {
      // The question comes back, as an answer without records.
      const answer = Buffer.from(query);
      answer.writeUInt16BE(0x8180, 2);
      socket.send(answer, port, address);
    });
    try {
      socket.bind(53, '127.7.6.5');
      await once(socket, 'listening');
      const file = harness.file(harness.account.home, 'resolv.conf', 'nameserver 127.7.6.5\noptions ndots:2\n');
      const spec = harness.spec(['sh', '-c', 'cat /etc/resolv.conf; nslookup -type=a name.test'], {
        network: 'default',
      });
      const { argv, result } = harness.command(spec);
      const mounted = ['unshare', '--mount', 'sh', '-c', `mount --bind ${file} /etc/resolv.conf && exec "$@"`, 'sh'];

      await harness.account.run([...mounted, ...argv]);

      expect(result().stdout).toMatch(/^nameserver 192\.0\.0\.3\noptions ndots:2\n/);
      expect(result().stdout).not.toContain('no servers could be reached');
    } finally {
      socket.close();
      await once(socket, 'close');
    }
  });
});
