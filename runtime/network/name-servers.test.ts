import { expect, it } from 'vitest';
import { nameServersInside } from './name-servers.ts';

it.each([
  ['nameserver 10.0.0.53\n', 'nameserver 10.0.0.53\n', false],
  [
    '# by hand\nsearch example.org corp\nnameserver 10.0.0.53\nnameserver 2001:db8::53\noptions ndots:2 edns0\n',
    'nameserver 10.0.0.53\nnameserver 2001:db8::53\nsearch example.org corp\noptions ndots:2 edns0\n',
    false,
  ],
  ['nameserver 127.0.0.53\noptions edns0 trust-ad\n', 'nameserver 192.0.0.3\noptions edns0 trust-ad\n', true],
  ['nameserver 127.0.0.53\nnameserver 1.1.1.1\n', 'nameserver 192.0.0.3\nnameserver 1.1.1.1\n', true],
  // The first is what the address leads to, so it must not be asked both ways.
  ['nameserver 1.1.1.1\nnameserver 127.0.0.53\n', 'nameserver 1.1.1.1\n', false],
  ['nameserver ::1\n', 'nameserver 192.0.0.3\n', true],
  ['nameserver fe80::1%eth0\nnameserver 10.0.0.53\n', 'nameserver 10.0.0.53\n', false],
  ['nameserver fe80::1%eth0\n', 'nameserver 192.0.0.3\n', true],
  ['nameserver not-an-address\n', 'nameserver 192.0.0.3\n', true],
  ['', 'nameserver 192.0.0.3\n', true],
])('gives a sandbox name servers that it can reach (%#)', (text, inside, forwarded) => {
  expect(nameServersInside(text)).toEqual({ text: inside, forwarded });
});
