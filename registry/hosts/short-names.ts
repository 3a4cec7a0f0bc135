import { formatReference, parseReference, type Reference, ToolError } from '../../core/index.ts';
import { type ParseToml, parseConfig, readIfAllowed } from './config-file.ts';
import { parsesPlainAliases } from './plain-aliases.ts';
import { type RegistriesConf, readAliases } from './registries-conf.ts';
import type { FoundRegistriesConf } from './registries-conf-disk.ts';

/** What names without a registry mean on this machine. Without any file: docker.io, as ever. */
export interface ShortNames {
  /**
   * The references that a text may mean, in the order to try; one for a name in full. Always in full themselves.
   * @throws ToolError REFERENCE_INVALID, REFERENCE_AMBIGUOUS
   */
  candidates(text: string): readonly Reference[];
  /**
   * The one that a text means, whatever the mode.
   * @throws ToolError REFERENCE_INVALID, REFERENCE_AMBIGUOUS
   */
  only(text: string): Reference;
  /** Those that a text may mean, whatever the mode: to look for what is here already. */
  all(text: string): readonly Reference[];
  /** Files and folders that this depends on, also those that are not there. */
  readonly sources: readonly string[];
}

/** @throws ToolError REGISTRY_CONFIG_INVALID */
export async function shortNames(
  { conf, sources }: FoundRegistriesConf,
  rememberedFiles: readonly string[],
  parseToml: ParseToml,
): Promise<ShortNames> {
  const aliases = new Map(conf.aliases);
  for (const file of rememberedFiles) {
    const text = await readIfAllowed(file);
    if (text === undefined) continue;
    const found = await parseConfig(text, file, parsesPlainAliases(parseToml), readAliases);
    for (const [name, value] of found) if (value !== '') aliases.set(name, value);
    break;
  }
  const known = { ...conf, aliases };
  return {
    candidates(text) {
      const found = candidates(text, known);
      if (conf.shortNameMode === 'enforcing') requireOne(text, found);
      return found;
    },
    only: (text) => requireOne(text, candidates(text, known)),
    all: (text) => candidates(text, known),
    sources: [...sources, ...rememberedFiles],
  };
}

function candidates(
  text: string,
  { aliases, search }: Pick<RegistriesConf, 'aliases' | 'search'>,
): readonly Reference[] {
  const reference = parseReference(text);
  const short = shortNameOf(text);
  if (short === undefined) return [reference];
  const alias = aliases.get(short);
  if (alias !== undefined) return [inFull(alias, reference)];
  const names = (search ?? []).map((host) => inFull(`${host}/${short}`, reference));
  return names.length === 0 ? [reference] : names;
}

function requireOne(text: string, names: readonly Reference[]): Reference {
  const [first, ...others] = names;
  if (first !== undefined && others.length === 0) return first;
  throw new ToolError('REFERENCE_AMBIGUOUS', `${text} may be any of ${names.map(formatReference).join(', ')}`, {
    hint: 'write the one you mean in full, or give it an alias in registries.conf',
  });
}

/** Name and path without tag and digest, when no registry is written before them. */
function shortNameOf(text: string): string | undefined {
  const [beforeDigest = ''] = text.split('@', 1);
  const slash = beforeDigest.lastIndexOf('/');
  const colon = beforeDigest.indexOf(':', slash + 1);
  const name = colon === -1 ? beforeDigest : beforeDigest.slice(0, colon);
  const first = name.split('/', 1)[0] ?? '';
  // As core/reference.ts tells a host from the beginning of a path.
  const hasHost = name.includes('/') && (/[.:[]/.test(first) || first === 'localhost' || first !== first.toLowerCase());
  return hasHost ? undefined : name;
}

function inFull(name: string, { tag, digest }: Reference): Reference {
  const { registry, repository } = parseReference(name);
  return { registry, repository, ...(tag === undefined ? {} : { tag }), ...(digest === undefined ? {} : { digest }) };
}
