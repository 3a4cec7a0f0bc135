import type { IncomingMessage, ServerResponse } from 'node:http';
import { errorCode } from '../../core/index.ts';
import { type Authenticator, neededAccess, pullOf, type Sender, wishedAccess } from './access.ts';
import { deleteBlob, sendBlob } from './blob-requests.ts';
import type { RegistryEvent } from './events.ts';
import { answerJson, type Exchange, type Served } from './exchange.ts';
import { sendCatalog, sendReferrers, sendTags } from './list-requests.ts';
import { deleteManifest, putManifest, sendManifest } from './manifest-requests.ts';
import { contentLength, drain, hasUnreadBody } from './request-body.ts';
import { asRequestError, RequestError } from './request-error.ts';
import { changesContent, parseTarget, type Route } from './route.ts';
import { appendUpload, cancelUpload, finishUpload, sendUploadStatus, startUpload } from './upload-requests.ts';

/** Of a body that nobody wants: to keep the connection, and to let its sender see the answer. */
const [keptUnreadBytes, maxUnreadBytes] = [256 * 1024, 32 * 1024 * 1024];

/** Everything a request is answered with. */
export interface RequestContext {
  readonly served: Served;
  readonly authenticator: Authenticator;
  notify(event: RegistryEvent, request: IncomingMessage, sender: Sender): void;
  /** A mistake of ours or of the machine's: its sentence is not told to the client. */
  onFailure(error: unknown, request: IncomingMessage): void;
}

/** Answers one request, whatever comes of it. Gives who sent it, where that is known. */
export async function handleRequest(
  request: IncomingMessage,
  response: ServerResponse,
  context: RequestContext,
): Promise<Sender | undefined> {
  response.setHeader('Docker-Distribution-Api-Version', 'registry/2.0');
  response.setHeader('X-Content-Type-Options', 'nosniff');
  let sender: Sender | undefined;
  try {
    const method = request.method ?? '';
    const { route, query } = parseTarget(method, request.url ?? '');
    refuseBrowsers(request);
    const { authorization } = request.headers;
    const needed = neededAccess(route, method);
    const admitted = await context.authenticator.admit(authorization, needed, wishedAccess(route, query));
    sender = admitted;
    await answerRoute(route, {
      served: context.served,
      request,
      response,
      query,
      mayPull: (repository) => admitted.may(pullOf(repository)),
      notify: (event) => context.notify(event, request, admitted),
    });
  } catch (error) {
    await answerError(error, request, response, context);
  }
  return sender;
}

function answerRoute(route: Route, exchange: Exchange): void | Promise<void> {
  const { method } = exchange.request;
  switch (route.kind) {
    case 'base':
      return answerJson(exchange, {});
    case 'catalog':
      return sendCatalog(exchange);
    case 'tags':
      return sendTags(exchange, route.repository);
    case 'referrers':
      return sendReferrers(exchange, route.repository, route.digest);
    case 'blob':
      if (method === 'DELETE') return deleteBlob(exchange, route.repository, route.digest);
      return sendBlob(exchange, route.repository, route.digest);
    case 'manifest':
      if (method === 'PUT') return putManifest(exchange, route.repository, route.reference);
      if (method === 'DELETE') return deleteManifest(exchange, route.repository, route.reference);
      return sendManifest(exchange, route.repository, route.reference);
    case 'uploads':
      return startUpload(exchange, route.repository);
    case 'upload':
      if (method === 'PATCH') return appendUpload(exchange, route.repository, route.id);
      if (method === 'PUT') return finishUpload(exchange, route.repository, route.id);
      if (method === 'DELETE') return cancelUpload(exchange, route.repository, route.id);
      return sendUploadStatus(exchange, route.repository, route.id);
  }
}

/**
 * Pages of any site can make a browser send requests to this machine. No client of registries is a browser, and
 * browsers say where what they send comes from.
 */
function refuseBrowsers(request: IncomingMessage): void {
  if (request.headers.origin === undefined || !changesContent(request.method ?? '')) return;
  throw new RequestError(403, { code: 'DENIED', message: 'web pages may not change what is here' });
}

async function answerError(
  error: unknown,
  request: IncomingMessage,
  response: ServerResponse,
  context: RequestContext,
): Promise<void> {
  const answer = asRequestError(error);
  const isGone = response.destroyed || request.socket.destroyed || isConnectionError(error);
  if (answer.status >= 500 && !isGone) context.onFailure(error, request);
  if (isGone || response.headersSent) {
    response.destroy();
    return;
  }
  const canGoOn = await canBeUsedAgain(request);
  const body = Buffer.from(JSON.stringify({ errors: answer.problems }));
  response.writeHead(answer.status, {
    'Content-Type': 'application/json',
    'Content-Length': String(body.byteLength),
    ...answer.headers,
    ...(canGoOn ? {} : { Connection: 'close' }),
  });
  if (request.method !== 'HEAD') response.write(body);
  // Who still sends reads the answer meanwhile; to close at once would take it away.
  if (!canGoOn) await drain(request, maxUnreadBytes);
  response.end();
}

/** A short body that nobody wants is read, so that the connection stays. */
async function canBeUsedAgain(request: IncomingMessage): Promise<boolean> {
  if (!hasUnreadBody(request)) return true;
  // One that was told to wait may send it or not: nobody can know.
  if (request.headers.expect !== undefined || (contentLength(request) ?? maxUnreadBytes) > keptUnreadBytes)
    return false;
  await drain(request, keptUnreadBytes);
  return !hasUnreadBody(request);
}

function isConnectionError(error: unknown): boolean {
  const code = errorCode(error);
  return code === 'ECONNRESET' || code === 'EPIPE' || code === 'ERR_STREAM_PREMATURE_CLOSE';
}
