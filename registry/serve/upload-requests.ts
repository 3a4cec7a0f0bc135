import type { Digest } from '../../core/index.ts';
import { isRepositoryName } from '../../core/index.ts';
import { parseContentRange, uploadedRange } from './byte-range.ts';
import { answer, chunksOf, type Exchange, writableOf } from './exchange.ts';
import type { UploadRecord } from './records.ts';
import { contentLength, hasBody } from './request-body.ts';
import { digestInvalid, RequestError } from './request-error.ts';
import { digestOf } from './route.ts';
import { type UploadBody, uploadLocation } from './uploads.ts';

/** POST: begins an upload, takes a whole blob, or mounts one. distribution-spec, end-4a, end-4b, end-4c, end-11 */
export async function startUpload(exchange: Exchange, repository: string): Promise<void> {
  const { uploads } = writableOf(exchange);
  const { query } = exchange;
  const mount = query.get('mount');
  if (mount !== null && (await tryMount(exchange, repository, digestOf(mount)))) return;
  const digest = query.get('digest');
  const wanted = digest === null ? undefined : digestOf(digest);
  const upload = await uploads.start(repository, algorithmOf(query.get('digest-algorithm') ?? wanted?.split(':')[0]));
  if (wanted === undefined) return answerAccepted(exchange, upload, 0);
  try {
    await finish(exchange, upload, wanted);
  } catch (error) {
    // Nobody was told where to go on.
    await uploads.cancel(upload).catch(() => {});
    throw error;
  }
}

/** GET: how much has arrived. distribution-spec, end-13 */
export async function sendUploadStatus(exchange: Exchange, repository: string, id: string): Promise<void> {
  const { uploads } = writableOf(exchange);
  const upload = uploads.find(repository, id);
  answer204(exchange, upload, await uploads.size(upload));
}

/** PATCH: the next bytes. distribution-spec, end-5 */
export async function appendUpload(exchange: Exchange, repository: string, id: string): Promise<void> {
  const { uploads } = writableOf(exchange);
  const upload = uploads.find(repository, id);
  answerAccepted(exchange, upload, await uploads.append(upload, bodyOfUpload(exchange)));
}

/** PUT: the last bytes, if any, and the digest of all. distribution-spec, end-6 */
export async function finishUpload(exchange: Exchange, repository: string, id: string): Promise<void> {
  const { uploads } = writableOf(exchange);
  const upload = uploads.find(repository, id);
  const digest = exchange.query.get('digest');
  if (digest === null) throw digestInvalid('the digest of the blob is missing: ?digest=');
  await finish(exchange, upload, digestOf(digest));
}

/** distribution-spec, end-14 */
export async function cancelUpload(exchange: Exchange, repository: string, id: string): Promise<void> {
  const { uploads } = writableOf(exchange);
  await uploads.cancel(uploads.find(repository, id));
  exchange.response.writeHead(204).end();
}

async function finish(exchange: Exchange, upload: UploadRecord, digest: Digest): Promise<void> {
  const { uploads } = writableOf(exchange);
  const body = hasBody(exchange.request) ? bodyOfUpload(exchange) : undefined;
  const size = await uploads.finish(upload, digest, body);
  answerCreated(exchange, upload.repository, digest);
  const mediaType = 'application/octet-stream';
  exchange.notify({ action: 'push', repository: upload.repository, digest, size, mediaType });
}

/** False where the blob cannot be had so: the client uploads it then. */
async function tryMount(exchange: Exchange, repository: string, digest: Digest): Promise<boolean> {
  const { storage } = writableOf(exchange);
  const asked = exchange.query.get('from');
  // Without a name, from any that the sender may read: it could have named it.
  const from = asked ?? storage.records.findHolder(digest);
  if (from === undefined || !isRepositoryName(from) || !exchange.mayPull(from)) return false;
  if (!storage.hasBlob(from, digest)) return false;
  storage.records.linkBlob(repository, digest, exchange.served.now());
  answerCreated(exchange, repository, digest);
  exchange.notify({ action: 'mount', repository, digest, fromRepository: from });
  return true;
}

function bodyOfUpload(exchange: Exchange): UploadBody {
  const header = exchange.request.headers['content-range'];
  const chunks = (signal: AbortSignal) => chunksOf(exchange, signal);
  if (header === undefined) return { chunks };
  const range = parseContentRange(header);
  if (range === undefined) {
    const message = 'the Content-Range is not FIRST-LAST';
    throw new RequestError(400, { code: 'BLOB_UPLOAD_INVALID', message });
  }
  const length = contentLength(exchange.request);
  if (length !== undefined && length !== range.last - range.first + 1) {
    const message = 'the Content-Length is not that of the Content-Range';
    throw new RequestError(400, { code: 'SIZE_INVALID', message });
  }
  return { chunks, range };
}

/** @throws RequestError DIGEST_INVALID */
function algorithmOf(text: string | undefined): UploadRecord['algorithm'] {
  if (text === undefined || text === 'sha256') return 'sha256';
  if (text === 'sha512') return 'sha512';
  throw digestInvalid('digests here are of sha256 or sha512');
}

function answerAccepted(exchange: Exchange, upload: UploadRecord, size: number): void {
  answer(exchange, 202, uploadHeaders(upload, size));
}

function answer204(exchange: Exchange, upload: UploadRecord, size: number): void {
  exchange.response.writeHead(204, uploadHeaders(upload, size)).end();
}

function answerCreated(exchange: Exchange, repository: string, digest: Digest): void {
  answer(exchange, 201, { Location: `/v2/${repository}/blobs/${digest}`, 'Docker-Content-Digest': digest });
}

function uploadHeaders(upload: UploadRecord, size: number): Record<string, string> {
  return { Location: uploadLocation(upload), Range: uploadedRange(size), 'Docker-Upload-UUID': upload.id };
}
