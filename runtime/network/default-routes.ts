/** By which versions of IP a machine reaches others. */
export interface DefaultRoutes {
  readonly ipv4: boolean;
  readonly ipv6: boolean;
}

/** RTF_UP and RTF_REJECT of linux/route.h. */
const up = 0x1;
const rejected = 0x200;

/** Reads the text of /proc/net/route and /proc/net/ipv6_route. */
export function parseDefaultRoutes(route: string, route6: string): DefaultRoutes {
  return {
    ipv4: route.split('\n').some((line) => {
      const [device, destination, , flags, , , , mask] = line.trim().split(/\s+/);
      return destination === '00000000' && mask === '00000000' && device !== 'lo' && isUsable(flags);
    }),
    ipv6: route6.split('\n').some((line) => {
      const [destination, prefix, , , , , , , flags, device] = line.trim().split(/\s+/);
      return destination === '0'.repeat(32) && prefix === '00' && device !== 'lo' && isUsable(flags);
    }),
  };
}

function isUsable(flags: string | undefined): boolean {
  const bits = Number.parseInt(flags ?? '', 16);
  return (bits & up) !== 0 && (bits & rejected) === 0;
}
