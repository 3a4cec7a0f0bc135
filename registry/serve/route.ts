import { type Digest, isDigest, isRepositoryName, isTag } from '../../core/index.ts';
import { digestInvalid, manifestUnknown, RequestError, unsupported } from './request-error.ts';

/** A request's target, every part of it parsed. distribution-spec, #endpoints */
export type Route =
  | { readonly kind: 'base' }
  | { readonly kind: 'catalog' }
  | { readonly kind: 'blob'; readonly repository: string; readonly digest: Digest }
  | { readonly kind: 'manifest'; readonly repository: string; readonly reference: Digest | string }
  | { readonly kind: 'uploads'; readonly repository: string }
  | { readonly kind: 'upload'; readonly repository: string; readonly id: string }
  | { readonly kind: 'tags'; readonly repository: string }
  | { readonly kind: 'referrers'; readonly repository: string; readonly digest: Digest };

export interface RequestTarget {
  readonly route: Route;
  readonly query: URLSearchParams;
}

const maxTargetBytes = 8192;
const uploadId = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;

const methods: Readonly<Record<Route['kind'], readonly string[]>> = {
  base: ['GET', 'HEAD'],
  catalog: ['GET', 'HEAD'],
  blob: ['GET', 'HEAD', 'DELETE'],
  manifest: ['GET', 'HEAD', 'PUT', 'DELETE'],
  uploads: ['POST'],
  upload: ['GET', 'HEAD', 'PATCH', 'PUT', 'DELETE'],
  tags: ['GET', 'HEAD'],
  referrers: ['GET', 'HEAD'],
};

/**
 * Reads the target of a request line. Nothing of it is used before it is one of the specification's words.
 * @throws RequestError
 */
export function parseTarget(method: string, target: string): RequestTarget {
  if (target.length > maxTargetBytes)
    throw new RequestError(414, { code: 'UNSUPPORTED', message: 'the URL is too long' });
  const mark = target.indexOf('?');
  const path = decoded(mark === -1 ? target : target.slice(0, mark));
  const query = new URLSearchParams(mark === -1 ? '' : target.slice(mark + 1));
  const route = parsePath(path);
  const allowed = methods[route.kind];
  if (!allowed.includes(method)) throw unsupported(`${method} is not for this address`, allowed);
  return { route, query };
}

export function changesContent(method: string): boolean {
  return method !== 'GET' && method !== 'HEAD';
}

function parsePath(path: string): Route {
  if (path === '/v2/' || path === '/v2' || path === '/') return { kind: 'base' };
  if (path === '/v2/_catalog') return { kind: 'catalog' };
  const [, rest] = /^\/v2\/(.+)$/s.exec(path) ?? [];
  if (rest === undefined) throw notFound();
  return parseUpload(rest) ?? parseContent(rest);
}

function parseUpload(rest: string): Route | undefined {
  const [, name, id] = /^(.+)\/blobs\/uploads(?:\/([^/]*))?$/s.exec(rest) ?? [];
  if (name === undefined) return undefined;
  const repository = repositoryOf(name);
  if (id === undefined || id === '') return { kind: 'uploads', repository };
  if (!uploadId.test(id))
    throw new RequestError(404, { code: 'BLOB_UPLOAD_UNKNOWN', message: 'there is no such upload' });
  return { kind: 'upload', repository, id };
}

function parseContent(rest: string): Route {
  const [, name, kind, last = ''] = /^(.+)\/(blobs|manifests|referrers|tags)\/([^/]*)$/s.exec(rest) ?? [];
  if (name === undefined) throw notFound();
  const repository = repositoryOf(name);
  switch (kind) {
    case 'blobs':
      return { kind: 'blob', repository, digest: digestOf(last) };
    case 'referrers':
      return { kind: 'referrers', repository, digest: digestOf(last) };
    case 'tags':
      if (last !== 'list') throw notFound();
      return { kind: 'tags', repository };
    default:
      return { kind: 'manifest', repository, reference: referenceOf(last) };
  }
}

function repositoryOf(name: string): string {
  if (isRepositoryName(name)) return name;
  throw new RequestError(400, { code: 'NAME_INVALID', message: 'that is not the name of a repository' });
}

/** @throws RequestError DIGEST_INVALID */
export function digestOf(text: string): Digest {
  if (isDigest(text)) return text;
  throw digestInvalid('that is not a digest: sha256 or sha512, a colon, and its hex digits');
}

function referenceOf(text: string): Digest | string {
  if (text.includes(':')) return digestOf(text);
  if (isTag(text)) return text;
  throw manifestUnknown(text.slice(0, 200), 'that is neither a tag nor a digest');
}

function decoded(path: string): string {
  try {
    return decodeURIComponent(path);
  } catch {
    throw new RequestError(400, { code: 'NAME_INVALID', message: 'the address is not URL-encoded text' });
  }
}

function notFound(): RequestError {
  return new RequestError(404, { code: 'NAME_UNKNOWN', message: 'there is nothing at this address' });
}
