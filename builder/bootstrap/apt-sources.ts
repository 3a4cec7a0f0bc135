/** One `deb` source of the host, however its file wrote it. sources.list(5) */
export interface AptSource {
  readonly uris: readonly string[];
  readonly suites: readonly string[];
  /** Empty for a flat archive. */
  readonly components: readonly string[];
  /** By deb822 name in lower case: `signed-by`, `trusted`, `check-valid-until`, …; a list is separated by spaces. */
  readonly options: ReadonlyMap<string, string>;
}

/** Parses the one-line format. A line that apt could not use either is left out. */
export function parseOneLineSources(text: string): AptSource[] {
  return text.split(/\r?\n/).flatMap((line) => parseLine(line) ?? []);
}

/** Parses the deb822 format; disabled stanzas and those for source packages are left out. */
export function parseDeb822Sources(text: string): AptSource[] {
  return parseStanzas(text).flatMap((fields) => sourceOf(fields) ?? []);
}

/**
 * The stanzas of a control file: fields by name in lower case, continuation lines joined by newlines. deb822(5)
 * Lines that are neither are left out.
 */
export function parseStanzas(text: string): ReadonlyMap<string, string>[] {
  const stanzas: ReadonlyMap<string, string>[] = [];
  let fields = new Map<string, string>();
  let field: string | undefined;
  for (const line of `${text}\n\n`.split(/\r?\n/)) {
    if (line.startsWith('#')) continue;
    if (line.trim() === '') {
      if (fields.size > 0) stanzas.push(fields);
      fields = new Map();
      field = undefined;
    } else if (/^[ \t]/.test(line)) {
      if (field !== undefined) fields.set(field, `${fields.get(field) ?? ''}\n${line}`);
    } else {
      const colon = line.indexOf(':');
      field = colon > 0 ? line.slice(0, colon).toLowerCase() : undefined;
      if (field !== undefined) fields.set(field, line.slice(colon + 1).trim());
    }
  }
  return stanzas;
}

const oneLine = /^deb[ \t]+(?:\[([^\]]*)\][ \t]+)?([^\s[]\S*)[ \t]+(\S+)((?:[ \t]+\S+)*)$/;

/** Options of the one-line format that have another name in deb822. sources.list(5), THE DEB AND DEB-SRC TYPES: OPTIONS */
const renamed: Readonly<Record<string, string>> = {
  arch: 'architectures',
  lang: 'languages',
  target: 'targets',
};

function parseLine(line: string): AptSource | undefined {
  const match = oneLine.exec(line.replace(/#.*$/, '').trim());
  const [, options = '', uri, suite, components = ''] = match ?? [];
  if (uri === undefined || suite === undefined) return undefined;
  return { uris: [uri], suites: [suite], components: words(components), options: parseOptions(options) };
}

function parseOptions(text: string): ReadonlyMap<string, string> {
  const options = new Map<string, string>();
  for (const word of words(text)) {
    const [, name, value] = /^([^=+-][^=]*?)=(.*)$/.exec(word) ?? [];
    if (name === undefined || value === undefined) continue;
    const key = name.toLowerCase();
    options.set(renamed[key] ?? key, value.replaceAll(',', ' '));
  }
  return options;
}

function sourceOf(fields: ReadonlyMap<string, string>): AptSource | undefined {
  const list = (name: string) => words(fields.get(name) ?? '');
  if (!list('types').includes('deb') || /^(?:no|false|without|off|disable|0)$/i.test(fields.get('enabled') ?? '')) {
    return undefined;
  }
  const options = new Map(
    [...fields].filter(([name]) => !['types', 'uris', 'suites', 'components', 'enabled'].includes(name)),
  );
  const source = { uris: list('uris'), suites: list('suites'), components: list('components'), options };
  return source.uris.length === 0 || source.suites.length === 0 ? undefined : source;
}

function words(text: string): string[] {
  return text.split(/\s+/).filter((word) => word !== '');
}
