import { ToolError } from '../core/index.ts';
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
 * The credential for exactly this host. Entries that hold none (Docker writes `{}` beside a helper) or are damaged are
 * passed over.
 */
export function findInAuthFile(file: AuthFile, registry: string): Credential | undefined {
  const matches = file.auths.filter(([key]) => sameRegistry(key, registry));
  // `host` goes before `https://host/v1/`, which is how old versions of Docker wrote it.
  matches.sort(([a], [b]) => Number(b === registry) - Number(a === registry));
  for (const [, entry] of matches) {
    const found = parseEntry(entry);
    if (found !== undefined) return found;
  }
  return undefined;
}

/** Whether a key of the file means the registry: same host, same port, nothing else. */
export function sameRegistry(key: string, registry: string): boolean {
  const host = key.replace(/^https?:\/\//, '').replace(/\/(?:v[12]\/?)?$/, '');
  return canonicalHost(host) === canonicalHost(registry);
}

/** The address a registry has in files and for helpers. */
export function registryKey(registry: string): string {
  return canonicalHost(registry) === 'docker.io' ? hubKey : registry;
}

export function withAuth(file: AuthFile | undefined, registry: string, credential: Credential): unknown {
  const others = (file?.auths ?? []).filter(([key]) => !sameRegistry(key, registry));
  const entry =
    'identityToken' in credential
      ? { auth: encode(credential.username ?? '', ''), identitytoken: credential.identityToken }
      : { auth: encode(credential.username, credential.secret) };
  return { ...file?.document, auths: Object.fromEntries([...others, [registryKey(registry), entry]]) };
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

function canonicalHost(host: string): string {
  const lower = host.toLowerCase();
  return hubHosts.includes(lower) ? 'docker.io' : lower;
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
