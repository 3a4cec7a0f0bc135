import { expect, it } from 'vitest';
import type { SandboxSpec } from '../sandbox/spec.ts';
import { connectSandbox } from './connect-sandbox.ts';
import { OutsideNetwork, type OutsideWay } from './outside-network.ts';
import { pastaCommand } from './pasta.ts';
import { slirp4netnsCommand } from './slirp4netns.ts';

const spec: SandboxSpec = {
  layers: [],
  argv: ['true'],
  env: {},
  cwd: '/',
  user: { uid: 0, gid: 0, additionalGids: [] },
  hostname: 'box',
  network: 'default',
  mounts: [],
  terminal: false,
  volatile: true,
};

class FixedNetwork extends OutsideNetwork {
  readonly #way: OutsideWay;

  constructor(way: OutsideWay, onWarning?: (text: string) => void) {
    super(onWarning);
    this.#way = way;
  }

  override async way(): Promise<OutsideWay> {
    return this.#way;
  }
}

it('lets nothing in, and to loopback only what was asked for', () => {
  const options = { machineRoot: true, forwardNames: true, loopbackPorts: [3128, 8080] };

  const command = pastaCommand('/usr/bin/pasta', { ...options, routes: { ipv4: true, ipv6: true } }).join(' ');

  expect(command).toBe(
    '/usr/bin/pasta --quiet --config-net --ns-ifname eth0 --ns-mac-addr 4e:6b:69:6c:6e:64 ' +
      '--address 192.0.0.100 --netmask 24 --gateway 192.0.0.2 --dns-forward 192.0.0.3 ' +
      '--address fd6b:696c:6e00::64 --gateway fd6b:696c:6e00::2 --no-map-gw --no-dhcp --no-dhcpv6 --no-ra ' +
      '--tcp-ports none --udp-ports none --udp-ns none --tcp-ns 3128,8080 --runas 0:0 ' +
      '--no-netns-quit --netns /proc/self/fd/0',
  );
});

it('asks for the versions of IP only by which there is a way out', () => {
  const options = { machineRoot: false, forwardNames: false, loopbackPorts: [] };

  const only4 = pastaCommand('pasta', { ...options, routes: { ipv4: true, ipv6: false } });
  const only6 = pastaCommand('pasta', { ...options, routes: { ipv4: false, ipv6: true } });

  expect(only4).toContain('--ipv4-only');
  expect(only4.filter((word) => word === '--address')).toHaveLength(1);
  expect(only6).toContain('--ipv6-only');
  expect(only6).toContain('fd6b:696c:6e00::64');
  expect([...only4, ...only6]).not.toContain('--runas');
  expect(only4.slice(only4.indexOf('--tcp-ns'))[1]).toBe('none');
});

it('keeps slirp4netns from loopback', () => {
  expect(slirp4netnsCommand('/usr/bin/slirp4netns', { ipv4: true, ipv6: false })).toContain('--disable-host-loopback');
});

it('leaves other networks alone, without looking for a way', async () => {
  const outside = new OutsideNetwork(() => expect.fail('nothing is to be said'));
  outside.way = () => expect.fail('nothing is to be looked for');
  for (const network of ['none', 'host'] as const) {
    const asked = { ...spec, network };
    expect(await connectSandbox(outside, asked, true)).toEqual({ spec: asked, command: [], resolvConf: '' });
  }
});

it('takes what there is: the host’s network, or none at all', async () => {
  const host = await connectSandbox(new FixedNetwork({ kind: 'host', why: 'a test' }), spec, true);
  const offline = await connectSandbox(new FixedNetwork({ kind: 'offline' }), spec, true);

  expect(host).toMatchObject({ spec: { network: 'host' }, command: [] });
  expect(offline).toMatchObject({ spec: { network: 'none' }, command: [] });
});

it('says once that a proxy on loopback cannot be reached', async () => {
  const said: string[] = [];
  const way = { kind: 'slirp4netns', file: '/slirp4netns', routes: { ipv4: true, ipv6: false } } as const;
  const outside = new FixedNetwork(way, (text) => said.push(text));

  for (let i = 0; i < 2; i++) await connectSandbox(outside, { ...spec, loopbackPorts: [3128] }, false);

  expect(said).toEqual([expect.stringContaining('passt')]);
});
