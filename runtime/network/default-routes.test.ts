import { expect, it } from 'vitest';
import { parseDefaultRoutes } from './default-routes.ts';

const header = 'Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\n';
const link = 'eth0\t000200C0\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0\n';
const viaEthernet = 'eth0\t00000000\t010200C0\t0003\t0\t0\t0\t00000000\t0\t0\t0\n';
const unreachable = '*\t00000000\t00000000\t0200\t0\t0\t0\t00000000\t0\t0\t0\n';

const zero = '0'.repeat(32);
const route6 = (flags: string, device: string) =>
  `${zero} 00 ${zero} 00 fd000000000000000000000000000001 00000400 00000001 00000000 ${flags} ${device}\n`;
const loopback6 = `${zero.slice(1)}1 80 ${zero} 00 ${zero} 00000000 00000003 00000000 80200001       lo\n`;

it.each([
  ['', '', false, false],
  [header + link, loopback6, false, false],
  [header + viaEthernet + link, loopback6 + route6('00200200', 'lo'), true, false],
  [header + unreachable, route6('00000003', 'eth0'), false, true],
  [header + viaEthernet, route6('00000003', '    eth0'), true, true],
])('finds the ways out of a machine (%#)', (route, ipv6Route, ipv4, ipv6) => {
  expect(parseDefaultRoutes(route, ipv6Route)).toEqual({ ipv4, ipv6 });
});
