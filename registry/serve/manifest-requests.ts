import { type Digest, isDigest, isTag, maxManifestBytes } from '../../core/index.ts';
import { openContent } from './blob-requests.ts';
import { answer, bodyOf, deletableOf, type Exchange, isUnchanged, writableOf } from './exchange.ts';
import { checkChildren, readPushedManifest } from './pushed-manifest.ts';
import { manifestUnknown, RequestError } from './request-error.ts';

const maxTagsAtOnce = 100;

/** GET and HEAD of a manifest. distribution-spec, end-3 */
export async function sendManifest(exchange: Exchange, repository: string, reference: string): Promise<void> {
  const { served, request, response } = exchange;
  const digest = isDigest(reference) ? reference : await served.view.findTag(repository, reference);
  const found = digest === undefined ? undefined : await served.view.findManifest(repository, digest);
  if (digest === undefined || found === undefined) throw manifestUnknown(reference);
  const etag = `"${digest}"`;
  const headers = { 'Docker-Content-Digest': digest, ETag: etag };
  if (isUnchanged(exchange, etag)) {
    response.writeHead(304, headers).end();
    return;
  }
  if (!accepts(request.headers.accept, found.mediaType)) {
    throw manifestUnknown(reference, `the manifest is of type ${found.mediaType}, which the Accept header leaves out`);
  }
  await using file = await openContent(served.view.blobFile(digest), digest);
  const bytes = await file.readFile();
  response.writeHead(200, {
    ...headers,
    'Content-Type': found.mediaType,
    'Content-Length': String(bytes.byteLength),
  });
  response.end(request.method === 'HEAD' ? undefined : bytes);
}

/** PUT. distribution-spec, end-7a, end-7b */
export async function putManifest(exchange: Exchange, repository: string, reference: string): Promise<void> {
  const { storage } = writableOf(exchange);
  const { request, served } = exchange;
  const tags = tagsOf(exchange, reference);
  const bytes = await bodyOf(exchange, maxManifestBytes);
  const wanted = isDigest(reference) ? reference : undefined;
  const record = readPushedManifest(bytes, request.headers['content-type'], wanted);
  const { mediaType, digest, size } = record.manifest;
  const needed = await checkChildren(served.view, repository, mediaType, bytes);
  await storage.putManifest(repository, bytes, { ...record, needed, tags, nowMs: served.now() });
  answer(exchange, 201, {
    Location: `/v2/${repository}/manifests/${digest}`,
    'Docker-Content-Digest': digest,
    ...(record.subject === undefined ? {} : { 'OCI-Subject': record.subject }),
    ...(wanted === undefined || tags.length === 0 ? {} : { 'OCI-Tag': tags.join(', ') }),
  });
  for (const tag of tags.length === 0 ? [undefined] : tags) {
    const target = { repository, digest, mediaType, size };
    exchange.notify({ action: 'push', ...target, ...(tag === undefined ? {} : { tag }) });
  }
}

/** DELETE of a tag alone, or of a manifest with its tags. distribution-spec, end-9 */
export async function deleteManifest(exchange: Exchange, repository: string, reference: string): Promise<void> {
  const { storage } = deletableOf(exchange);
  if (isDigest(reference)) {
    if (!storage.records.deleteManifest(repository, reference)) throw manifestUnknown(reference);
    answer(exchange, 202, {});
    exchange.notify({ action: 'delete', repository, digest: reference });
    return;
  }
  const digest: Digest | undefined = storage.records.deleteTag(repository, reference);
  if (digest === undefined) throw manifestUnknown(reference);
  answer(exchange, 202, {});
  exchange.notify({ action: 'delete', repository, digest, tag: reference });
}

/** The tag of the address, or those of the query beside a digest. */
function tagsOf({ query }: Exchange, reference: string): readonly string[] {
  if (!isDigest(reference)) return [reference];
  const tags = [...new Set(query.getAll('tag'))];
  if (tags.length > maxTagsAtOnce) {
    throw new RequestError(414, { code: 'UNSUPPORTED', message: `at most ${maxTagsAtOnce} tags are taken at once` });
  }
  if (tags.every(isTag)) return tags;
  throw new RequestError(400, { code: 'MANIFEST_INVALID', message: 'a tag of the query is not one' });
}

/**
 * Whether a client that lists what it understands can read this; there is nothing to convert it to. What only wants
 * JSON gets JSON. RFC 9110 §12.5.1
 */
function accepts(header: string | undefined, mediaType: string): boolean {
  if (header === undefined || header.trim() === '') return true;
  return header.split(',').some((item) => {
    const [type = '', ...parameters] = item.split(';').map((part) => part.trim().toLowerCase());
    if (parameters.some((parameter) => /^q=0(?:\.0*)?$/.test(parameter))) return false;
    return type === mediaType || type === '*/*' || type === 'application/*' || type === 'application/json';
  });
}
