import { ToolError } from '../../core/index.ts';
import type { Credential } from './credentials.ts';

/** A Docker config.json or a containers auth.json; keys that are not about credentials are kept as they are. */
export interface AuthFile {
  readonly document: Readonly<Record<string, unknown>>;
  readonly auths: readonly (readonly [key: string, entry: unknown])[];
  /** Registry and suffix of `docker-credential-<suffix>`. */
  readonly credHelpers: readonly (readonly [key: string, suffix: string])[];
  readonly credsStore: string | undefined;
}

/** Docker's own registry is kept under its oldest address. */
const hubKey = 'https://index.docker.io/v1/';
const hubHosts = ['docker.io', 'index.docker.io', 'registry-1.docker.io'];

/**
 * @param where named in errors; the text never is
 * @throws ToolError REGISTRY_CREDENTIALS_INVALID
 */
export function parseAuthFile(text: string, where: string): AuthFile {
  let document: unknown;
  try {
    document = JSON.parse(text.trim() === '' ? '{}' : text);
  } catch {
    // The parser's message would quote the text, which holds passwords.
    throw invalid(where, 'is not JSON');
  }
  if (!isRecord(document)) throw invalid(where, 'is not a JSON object');
  const { auths, credHelpers, credsStore } = document;
  if (!isAbsent(auths) && !isRecord(auths)) throw invalid(where, 'has "auths" that are not an object');
  if (!isAbsent(credHelpers) && !isRecord(credHelpers))
    throw invalid(where, 'has "credHelpers" that are not an object');
  if (!isAbsent(credsStore) && typeof credsStore !== 'string')
    throw invalid(where, 'has a "credsStore" that is no text');
  return {
    document,
    auths: isRecord(auths) ? Object.entries(auths) : [],
    credHelpers: Object.entries(isRecord(credHelpers) ? credHelpers : {}).filter(isTextEntry),
    credsStore: typeof credsStore === 'string' && credsStore !== '' ? credsStore : undefined,
  };
}

/**
 * The credential for exactly this host; of several the one for the longest part of `repository`'s name. Entries that
 * hold none (Docker writes `{}` beside a helper) or are damaged are passed over. containers-auth.json(5)
 */
export function findInAuthFile(file: AuthFile, registry: string, repository?: string): Credential | undefined {
  for (const key of [...partsOf(registry, repository), registry]) {
    const matches = file.auths.filter(([found]) => sameRegistry(found, key));
    // `host` goes before `https://host/v1/`, which is how old versions of Docker wrote it.
    matches.sort(([a], [b]) => Number(b === key) - Number(a === key));
    for (const [, entry] of matches) {
      const found = parseEntry(entry);
      if (found !== undefined) return found;
    }
  }
  return undefined;
}

/** `host/a/b`, `host/a`: keys for parts of a registry, the longest first. */
function partsOf(registry: string, repository: string | undefined): readonly string[] {
  const components = repository?.split('/') ?? [];
  return components.map((_, index) => [registry, ...components.slice(0, components.length - index)].join('/'));
}

/** Whether a key of the file means the registry, or the same part of it: same host, same port, same path. */
export function sameRegistry(key: string, registry: string): boolean {
  const withoutScheme = key.replace(/^https?:\/\//, '');
  // Addresses have the version of the API behind them; `host/v2` without anything around it is a part of the registry.
  const isPlain = withoutScheme === key;
  const place = withoutScheme.replace(isPlain ? /\/(?:v[12]\/)?$/ : /\/(?:v[12]\/?)?$/, '');
  return canonicalKey(place) === canonicalKey(registry);
}

/** The address a registry has in files and for helpers. */
export function registryKey(registry: string): string {
  return canonicalKey(registry) === 'docker.io' ? hubKey : registry;
}

export function withAuth(file: AuthFile | undefined, registry: string, credential: Credential): unknown {
  const others = (file?.auths ?? []).filter(([key]) => !sameRegistry(key, registry));
  const entry =
    'identityToken' in credential
      ? { auth: encode(credential.username ?? '', ''), identitytoken: credential.identityToken }
      : { auth: encode(credential.username, credential.secret) };
  return { ...file?.document, auths: Object.fromEntries([...others, [registryKey(registry), entry]]) };
}

/** The document without any entry. */
export function withoutAuths(file: AuthFile): unknown {
  return { ...file.document, auths: {} };
}

/** The document without the registry's entries; undefined when it had none. */
export function withoutAuth(file: AuthFile, registry: string): unknown {
  const rest = file.auths.filter(([key]) => !sameRegistry(key, registry));
  return rest.length === file.auths.length ? undefined : { ...file.document, auths: Object.fromEntries(rest) };
}

function parseEntry(entry: unknown): Credential | undefined {
  if (!isRecord(entry)) return undefined;
  const { auth, username, password, identitytoken } = entry;
  const decoded = typeof auth === 'string' ? decode(auth) : undefined;
  const name = decoded?.username ?? (typeof username === 'string' ? username : '');
  if (typeof identitytoken === 'string' && identitytoken !== '') {
    return name === '' ? { identityToken: identitytoken } : { username: name, identityToken: identitytoken };
  }
  if (decoded !== undefined) return decoded;
  return name !== '' && typeof password === 'string' ? { username: name, secret: password } : undefined;
}

/** `user:password` in base64; some tools pad it with zero bytes. */
function decode(auth: string): { username: string; secret: string } | undefined {
  const text = Buffer.from(auth, 'base64').toString('utf8');
  const colon = text.indexOf(':');
  if (colon < 1) return undefined;
  return { username: text.slice(0, colon), secret: text.slice(colon + 1).replace(/\0+$/, '') };
}

function encode(username: string, secret: string): string {
  return Buffer.from(`${username}:${secret}`, 'utf8').toString('base64');
}

/** Hosts are the same in any case, paths are not. */
function canonicalKey(key: string): string {
  const [host = '', ...rest] = key.split('/');
  const lower = host.toLowerCase();
  return [hubHosts.includes(lower) ? 'docker.io' : lower, ...rest].join('/');
}

function isAbsent(value: unknown): boolean {
  return value === undefined || value === null;
}

function isTextEntry(entry: [string, unknown]): entry is [string, string] {
  return typeof entry[1] === 'string' && entry[1] !== '';
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function invalid(where: string, why: string): ToolError {
  return new ToolError('REGISTRY_CREDENTIALS_INVALID', `${where} ${why}`, {
    hint: 'correct it, or move it away and log in again',
  });
}
