import { type ConfigTable, quotedValue } from './config-table.ts';
import { type NameLocation, parseLocation } from './name-prefix.ts';

/** containers-registries.conf(5), of one file or of several together. */
export interface RegistriesConf {
  readonly rules: readonly RegistryRule[];
  /** Where short names are looked for; undefined when the file does not say. */
  readonly search: readonly string[] | undefined;
  readonly shortNameMode: ShortNameMode | undefined;
  /** Short name and what it stands for; empty text takes an alias of an earlier file away. */
  readonly aliases: ReadonlyMap<string, string>;
}

export type ShortNameMode = 'enforcing' | 'permissive' | 'disabled';

/** A `[[registry]]`. */
export interface RegistryRule {
  readonly prefix: string;
  /** Undefined when names stay as they are. */
  readonly location: NameLocation | undefined;
  readonly insecure: boolean;
  readonly blocked: boolean;
  readonly mirrors: readonly RegistryMirror[];
  /** The file it is from. */
  readonly file: string;
}

/** A `[[registry.mirror]]`. */
export interface RegistryMirror {
  readonly location: NameLocation;
  readonly insecure: boolean;
  readonly answers?: 'digests' | 'tags';
}

const modes: readonly string[] = ['enforcing', 'permissive', 'disabled'] satisfies ShortNameMode[];

/** Reads version 2 of the format, and the lists of version 1. Problems are noted in `table`. */
export function readRegistriesConf(table: ConfigTable, file: string): RegistriesConf {
  const mode = table.text('short-name-mode');
  if (mode !== undefined && !isMode(mode)) table.complain('short-name-mode', `is to be one of ${modes.join(', ')}`);
  const old = table.table('registries');
  const list = (key: string): readonly string[] | undefined => old?.table(key)?.texts('registries');
  const search = table.texts('unqualified-search-registries') ?? list('search');
  for (const host of search ?? []) {
    if (!isBeginningOfNames(host))
      table.complain('unqualified-search-registries', `has ${quotedValue(host)}, which is no HOST[:PORT]`);
  }
  const oldRules = [...new Set([...(list('insecure') ?? []), ...(list('block') ?? [])])].map((prefix) => ({
    prefix,
    location: undefined,
    insecure: list('insecure')?.includes(prefix) ?? false,
    blocked: list('block')?.includes(prefix) ?? false,
    mirrors: [],
    file,
  }));
  const rules = table.tables('registry').flatMap((entry) => readRule(entry, file) ?? []);
  return {
    rules: [...oldRules, ...rules],
    search,
    shortNameMode: mode !== undefined && isMode(mode) ? mode : undefined,
    aliases: readAliases(table),
  };
}

/** Later files go before earlier ones, key by key; of registries, prefix by prefix. */
export function mergeRegistriesConf(files: readonly RegistriesConf[]): RegistriesConf {
  const rules = new Map(files.flatMap((file) => file.rules).map((rule) => [rule.prefix, rule]));
  const aliases = new Map(files.flatMap((file) => [...file.aliases]));
  return {
    rules: [...rules.values()],
    search: files.findLast((file) => file.search !== undefined)?.search,
    shortNameMode: files.findLast((file) => file.shortNameMode !== undefined)?.shortNameMode,
    aliases: new Map([...aliases].filter(([, value]) => value !== '')),
  };
}

/** `name` → `host/path`, as `[aliases]` and the file that podman records choices in have them. */
export function readAliases(table: ConfigTable): ReadonlyMap<string, string> {
  const aliases = table.table('aliases');
  const found = new Map<string, string>();
  for (const name of aliases?.keys() ?? []) {
    const value = aliases?.text(name) ?? '';
    if (value !== '' && !(value.includes('/') && isBeginningOfNames(value))) {
      aliases?.complain(name, `is to be HOST/NAME without tag, not ${quotedValue(value)}`);
      continue;
    }
    found.set(name, value);
  }
  return found;
}

function readRule(entry: ConfigTable, file: string): RegistryRule | undefined {
  const written = entry.text('location');
  const prefix = entry.text('prefix') ?? written;
  const byDigestOnly = entry.flag('mirror-by-digest-only') ?? false;
  const rest = {
    insecure: entry.flag('insecure') ?? false,
    blocked: entry.flag('blocked') ?? false,
    mirrors: entry.tables('mirror').flatMap((mirror) => readMirror(mirror, byDigestOnly) ?? []),
    file,
  };
  if (prefix === undefined) return entry.complain('location', 'is missing: give location or prefix');
  const isWildcard = prefix.startsWith('*.');
  if (parseLocation(isWildcard ? prefix.slice(2) : prefix) === undefined) {
    const key = prefix === written ? 'location' : 'prefix';
    return entry.complain(key, `is to be HOST[:PORT][/PATH] without scheme and tag, not ${quotedValue(prefix)}`);
  }
  const location = written === undefined || written === prefix ? undefined : readLocation(entry);
  return { prefix, location, ...rest };
}

function readMirror(mirror: ConfigTable, byDigestOnly: boolean): RegistryMirror | undefined {
  const location = readLocation(mirror);
  const from = mirror.text('pull-from-mirror') ?? 'all';
  if (!['all', 'digest-only', 'tag-only'].includes(from)) {
    return mirror.complain('pull-from-mirror', 'is to be all, digest-only or tag-only');
  }
  if (byDigestOnly && mirror.text('pull-from-mirror') !== undefined) {
    return mirror.complain('pull-from-mirror', 'and mirror-by-digest-only of its registry exclude each other');
  }
  if (location === undefined) return undefined;
  const answers = byDigestOnly || from === 'digest-only' ? 'digests' : from === 'tag-only' ? 'tags' : undefined;
  return {
    location,
    insecure: mirror.flag('insecure') ?? false,
    ...(answers === undefined ? {} : { answers }),
  };
}

function readLocation(table: ConfigTable): NameLocation | undefined {
  const text = table.text('location');
  if (text === undefined) return table.complain('location', 'is missing');
  const location = parseLocation(text);
  if (location !== undefined) return location;
  const advice = /^https?:\/\//.test(text) ? ' without https://' : '';
  return table.complain('location', `is to be HOST[:PORT][/PATH]${advice}, not ${quotedValue(text)}`);
}

/** Names are written down in full, and read again: a host must be told from the beginning of a path. */
function isBeginningOfNames(text: string): boolean {
  const location = parseLocation(text);
  return location !== undefined && (/[.:[]/.test(location.host) || location.host === 'localhost');
}

function isMode(text: string): text is ShortNameMode {
  return modes.includes(text);
}
