import type { PinnedPackage } from '../lock/pins.ts';

/** A file that apt would fetch. */
export interface AptFile {
  readonly uri: string;
  readonly package: PinnedPackage;
}

/** `'http://…/x_1%3a2_amd64.deb' x_1%3a2_amd64.deb 166332 SHA256:…`: apt-get --print-uris */
const uriLine = /^'([^']*)' ([^\s_]+)_([^\s_]+)_([^\s_]+)\.deb \d+(?: (\S+))?$/;

/** What `apt-get --print-uris install` says would be fetched. */
export function parsePrintedUris(text: string): AptFile[] {
  return text.split('\n').flatMap((line) => {
    const [, uri, name, version, architecture, hash = ''] = uriLine.exec(line.trim()) ?? [];
    if (uri === undefined || name === undefined || version === undefined || architecture === undefined) return [];
    const sha256 = /^SHA256:([0-9a-f]{64})$/i.exec(hash)?.[1];
    return [
      {
        uri,
        package: {
          name,
          version: unescapeName(version),
          architecture,
          hash: sha256 === undefined ? '' : `sha256:${sha256.toLowerCase()}`,
        },
      },
    ];
  });
}

/** The name that apt gives to a downloaded file. apt-pkg, QuoteString(…, "_:") */
export function archiveName({ name, version, architecture }: PinnedPackage): string {
  return `${name}_${version.replace(/[%_:]/g, (one) => `%${one.charCodeAt(0).toString(16)}`)}_${architecture}.deb`;
}

/** How a package is named to apt exactly; a package for all architectures has none of its own. */
export function aptArgument({ name, version, architecture }: PinnedPackage): string {
  return `${name}${architecture === 'all' ? '' : `:${architecture}`}=${version}`;
}

/** What apt did not find; empty for other troubles. */
export function missingPackages(output: string): { readonly name: string; readonly version?: string }[] {
  const found = new Map<string, { readonly name: string; readonly version?: string }>();
  for (const line of output.split('\n')) {
    const [, name] = /^E: (?:Unable to locate package|Couldn't find any package by \w+) '?([^\s']+)'?/.exec(line) ?? [];
    const [, version, of] = /^E: Version '([^']+)' for '([^']+)' was not found/.exec(line) ?? [];
    const [, empty] = /^E: Package '?([^\s']+)'? has no installation candidate/.exec(line) ?? [];
    if (of !== undefined && version !== undefined) found.set(of, { name: of, version });
    const missing = name ?? empty;
    if (missing !== undefined && !found.has(missing)) found.set(missing, { name: missing });
  }
  return [...found.values()];
}

function unescapeName(text: string): string {
  return text.replace(/%([0-9a-f]{2})/gi, (_, digits: string) => String.fromCharCode(Number.parseInt(digits, 16)));
}
