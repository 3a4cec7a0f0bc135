import type { Flag, FlagTable } from './command.ts';
import { type RegistryFlags, registryFlags } from './registry-flags.ts';

type Side = 'src' | 'dest';
type SharedName = Exclude<keyof RegistryFlags & string, 'debug'>;

/** A verb that speaks to two registries takes each flag for both, and once more for each side: `--src-plain-http`. */
export function sideFlags<S extends Side>(
  side: S,
): { readonly [Name in SharedName as `${S}-${Name}`]: Omit<(typeof registryFlags)[Name], 'short'> } {
  const what = side === 'src' ? 'of the source alone' : 'of the destination alone';
  const flags = Object.entries<Flag>(registryFlags)
    .filter(([name]) => name !== 'debug')
    .map(([name, flag]) => {
      const { short: _short, ...rest } = flag;
      return [`${side}-${name}`, { ...rest, summary: `--${name} ${what}` }];
    });
  // One entry for each name that the type has.
  return Object.fromEntries(flags) as ReturnType<typeof sideFlags<S>>;
}

/** The flags as one side sees them: its own where given, else those of both. */
export function flagsOfSide(values: Readonly<Record<string, unknown>>, side: Side): RegistryFlags {
  const allFlags: FlagTable = registryFlags;
  const names = Object.keys(allFlags);
  const merged = names.map((name) => {
    const own = values[`${side}-${name}`];
    // `=false` of a three-way switch says something; of any other it is the same as no flag.
    const isThreeWay = 'threeWay' in (allFlags[name] ?? {});
    const isGiven = Array.isArray(own) ? own.length > 0 : own !== undefined && (own !== false || isThreeWay);
    return [name, isGiven ? own : values[name]];
  });
  // Values of the very flags of the table.
  return Object.fromEntries(merged) as RegistryFlags;
}
