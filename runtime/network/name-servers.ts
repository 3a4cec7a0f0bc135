import { readFile } from 'node:fs/promises';
import { isIP, isIPv4 } from 'node:net';
import { errorCode } from '../../core/index.ts';
import { sandboxAddresses } from './addresses.ts';

/** How names are found in a network namespace of its own. */
export interface NameServers {
  /** For /etc/resolv.conf inside. */
  readonly text: string;
  /** Whether it names the address that is to lead to this machine's first name server. */
  readonly forwarded: boolean;
}

export async function readNameServers(file = '/etc/resolv.conf'): Promise<NameServers> {
  try {
    return nameServersInside(await readFile(file, 'utf8'));
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return nameServersInside('');
    throw error;
  }
}

/**
 * From the text of this machine's /etc/resolv.conf. A name server on loopback is asked through an address that leads
 * to it, if it is the first: pasta knows that one only, and changes where its answers come from, so that it must not
 * be asked directly as well. One on a link (`fe80::1%eth0`) cannot be reached.
 */
export function nameServersInside(text: string): NameServers {
  const lines = text.split('\n').map((line) => line.trim());
  const addresses = lines
    .map((line) => /^nameserver\s+(\S+)/.exec(line)?.[1] ?? '')
    .filter((found) => isIP(found) !== 0);
  // Without any, a program asks this machine. resolv.conf(5)
  const first = addresses.find((address) => isIPv4(address)) ?? addresses[0] ?? '127.0.0.1';
  const reachable = addresses.filter((address) => !isLoopback(address) && !isOnLink(address));
  const forwarded = isLoopback(first) || reachable.length === 0;
  const inside = forwarded
    ? [sandboxAddresses.nameServer, ...reachable.filter((address) => address !== first)]
    : reachable;
  const settings = lines.filter((line) => /^(search|domain|options|sortlist)\s/.test(line));
  const all = [...inside.map((address) => `nameserver ${address}`), ...settings];
  return { text: all.map((line) => `${line}\n`).join(''), forwarded };
}

/** Whether something that is asked at this address is on this machine alone. */
export function isLoopback(address: string): boolean {
  return /^127\./.test(address) || address === '::1' || /^::ffff:127\./i.test(address);
}

function isOnLink(address: string): boolean {
  return address.includes('%') || /^fe[89ab]/i.test(address);
}
