import { type Digest, isDigest } from './digest.ts';
import { ToolError } from './errors.ts';

/**
 * An image's name, in full. Grammar of the distribution project: `[host[:port]/]path[:tag][@digest]`, where `debian`
 * means `docker.io/library/debian`.
 */
export interface Reference {
  /** `host` or `host:port`; `docker.io` when none was written. */
  readonly registry: string;
  /** Path within the registry. */
  readonly repository: string;
  readonly tag?: string;
  readonly digest?: Digest;
}

const host =
  /^(?:(?:[A-Za-z0-9]|[A-Za-z0-9][A-Za-z0-9-]*[A-Za-z0-9])(?:\.(?:[A-Za-z0-9]|[A-Za-z0-9][A-Za-z0-9-]*[A-Za-z0-9]))*|\[[a-fA-F0-9:]+\])(?::[0-9]+)?$/;
const repositoryPath = /^[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*(?:\/[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*)*$/;
const tagPattern = /^[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}$/;

/** The path within a registry, such as `library/debian`. distribution-spec, #pulling-manifests */
export function isRepositoryName(text: string): boolean {
  return text.length <= 255 && repositoryPath.test(text);
}

/** distribution-spec, #pulling-manifests */
export function isTag(text: string): boolean {
  return tagPattern.test(text);
}

/**
 * Parses an image reference; the tag stays undefined when neither tag nor digest was written.
 * @throws ToolError REFERENCE_INVALID
 */
export function parseReference(text: string): Reference {
  if (/^[0-9a-f]{64}$/.test(text))
    throw invalid(text, 'a bare 64-digit id is not a name', 'write sha256: before it where an id is meant');
  const { name, digest } = splitDigest(text);
  const { rest, tag } = splitTag(text, name);
  const { registry, repository } = splitRegistry(rest);
  if (!host.test(registry)) throw invalid(text, `${JSON.stringify(registry)} is not a registry host`);
  if (!repositoryPath.test(repository)) {
    const hint =
      repository === repository.toLowerCase() ? undefined : `names are lower case: ${repository.toLowerCase()}`;
    throw invalid(text, `${JSON.stringify(repository)} is not a repository name`, hint);
  }
  if (repository.length > 255) throw invalid(text, 'the repository name is longer than 255 characters');
  return { registry, repository, ...(tag === undefined ? {} : { tag }), ...(digest === undefined ? {} : { digest }) };
}

/** The reference with the tag `latest` where neither tag nor digest was written. */
export function withDefaultTag(reference: Reference): Reference {
  return reference.tag === undefined && reference.digest === undefined ? { ...reference, tag: 'latest' } : reference;
}

/** The full name, host included: `docker.io/library/debian:bookworm`. */
export function formatReference(reference: Reference): string {
  const { tag, digest } = reference;
  return `${repositoryName(reference)}${tag === undefined ? '' : `:${tag}`}${digest === undefined ? '' : `@${digest}`}`;
}

/** `host/path` without tag and digest. */
export function repositoryName(reference: Pick<Reference, 'registry' | 'repository'>): string {
  return `${reference.registry}/${reference.repository}`;
}

/** The name as a person writes it: without `docker.io/library/`. */
export function familiarReference(reference: Reference): string {
  return formatReference(reference).replace(/^docker\.io\/(?:library\/(?=[^/]*$))?/, '');
}

function splitDigest(text: string): { name: string; digest?: Digest } {
  const at = text.indexOf('@');
  if (at === -1) return { name: text };
  const digest = text.slice(at + 1);
  if (!isDigest(digest))
    throw invalid(text, `${JSON.stringify(digest)} is not a digest`, 'a digest is sha256: and 64 hex digits');
  return { name: text.slice(0, at), digest };
}

function splitTag(text: string, name: string): { rest: string; tag?: string } {
  const colon = name.lastIndexOf(':');
  if (colon === -1 || colon < name.lastIndexOf('/')) return { rest: name };
  const tag = name.slice(colon + 1);
  if (!tagPattern.test(tag)) throw invalid(text, `${JSON.stringify(tag)} is not a tag`);
  return { rest: name.slice(0, colon), tag };
}

function splitRegistry(name: string): { registry: string; repository: string } {
  const slash = name.indexOf('/');
  const first = slash === -1 ? '' : name.slice(0, slash);
  const isHost = /[.:[]/.test(first) || first === 'localhost' || first !== first.toLowerCase();
  if (slash === -1 || !isHost) return hub(name);
  return first === 'docker.io' || first === 'index.docker.io'
    ? hub(name.slice(slash + 1))
    : { registry: first, repository: name.slice(slash + 1) };
}

function hub(repository: string): { registry: string; repository: string } {
  return { registry: 'docker.io', repository: repository.includes('/') ? repository : `library/${repository}` };
}

function invalid(text: string, why: string, hint?: string): ToolError {
  return new ToolError('REFERENCE_INVALID', `${JSON.stringify(text)} is not an image reference: ${why}`, { hint });
}
