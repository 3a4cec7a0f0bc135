import type { PinnedPackage } from '../lock/pins.ts';

/** `nginx=1.22.1-9 amd64 sha256:…`: one line of a step's key, and of what `kiln explain` shows. */
export function packageText({ name, version, architecture, hash }: PinnedPackage): string {
  return [`${name}=${version}`, architecture, ...(hash === '' ? [] : [hash])].join(' ');
}

/** What differs between two sets, one line for each package; `security` holds names whose update is a security one. */
export function setChanges(
  before: readonly PinnedPackage[],
  after: readonly PinnedPackage[],
  security: ReadonlySet<string> = new Set(),
): string[] {
  const [old, fresh] = [byNameAndArchitecture(before), byNameAndArchitecture(after)];
  return [...new Set([...old.keys(), ...fresh.keys()])].sort().flatMap((id) => {
    const [from, to] = [old.get(id), fresh.get(id)];
    const note = to !== undefined && security.has(to.name) ? ' (security)' : '';
    if (from === undefined && to !== undefined) return [`${to.name} ${to.version} is new${note}`];
    if (to === undefined && from !== undefined) return [`${from.name} ${from.version} is not needed any more`];
    if (from === undefined || to === undefined) return [];
    if (from.version !== to.version) return [`${to.name} ${from.version} → ${to.version}${note}`];
    return from.hash === to.hash ? [] : [`${to.name} ${to.version} is another file now${note}`];
  });
}

/** The set a record holds, as it stands there; undefined when it is none. */
export function parseSet(value: unknown): PinnedPackage[] | undefined {
  if (!Array.isArray(value)) return undefined;
  const packages: PinnedPackage[] = [];
  for (const one of value as readonly unknown[]) {
    if (typeof one !== 'object' || one === null) return undefined;
    const { name, version, architecture, hash } = one as Readonly<Record<string, unknown>>;
    if (typeof name !== 'string' || typeof version !== 'string') return undefined;
    if (typeof architecture !== 'string' || typeof hash !== 'string') return undefined;
    packages.push({ name, version, architecture, hash });
  }
  return packages;
}

function byNameAndArchitecture(set: readonly PinnedPackage[]): ReadonlyMap<string, PinnedPackage> {
  return new Map(set.map((one) => [`${one.name} ${one.architecture}`, one]));
}
