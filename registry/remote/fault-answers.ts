import { once } from 'node:events';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { setTimeout as delay } from 'node:timers/promises';
import { gzipSync } from 'node:zlib';
import type { Fault, FaultPlan } from './fault-plan.ts';

/** What a registry has and was asked for. */
export interface Content {
  readonly bytes: Buffer;
  readonly mediaType: string;
  readonly digest: string;
}

/** 10 MB of zeros. */
const bomb = gzipSync(Buffer.alloc(10_000_000));
const hugeBytes = 100_000_000;

/** Answers that have nothing to do with what was asked. True when it was one. */
export async function answerWrongly(
  fault: Fault | undefined,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<boolean> {
  // What a registry knows of its clients, it may repeat.
  const authorization = request.headers.authorization ?? 'nothing';
  const body = JSON.stringify({ errors: [{ code: 'ODD', message: `you sent ${authorization}` }] });
  const warning = `299 - "you sent ${authorization}"`;
  switch (fault) {
    case 'reset':
      request.socket.destroy();
      return true;
    case 'silence':
      await once(response, 'close');
      return true;
    case 'status-500':
      response.writeHead(500, { warning }).end(body);
      return true;
    case 'status-503':
      response.writeHead(503, { 'retry-after': 'soon' }).end(body);
      return true;
    case 'busy':
      response.writeHead(429, { 'retry-after': '0', warning }).end(body);
      return true;
    case 'busy-until':
      response.writeHead(429, { 'retry-after': 'Thu, 01 Jan 2026 00:00:00 GMT' }).end(body);
      return true;
    case 'busy-for-long':
      response.writeHead(429, { 'retry-after': '3600' }).end(body);
      return true;
    case 'circle':
      response.writeHead(307, { location: request.url }).end();
      return true;
    case 'echoing-redirect':
      response.writeHead(302, { location: `/gone/${encodeURIComponent(authorization)}` }).end();
      return true;
    case 'page-for-people':
      response.writeHead(200, { 'content-type': 'text/html' }).end('<html>log in to the hotel network</html>');
      return true;
    default:
      return false;
  }
}

/** Sends content, or the range of it that was asked for, well or badly. */
export async function sendContent(
  content: Content,
  fault: Fault | undefined,
  plan: FaultPlan,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const { bytes, mediaType, digest } = content;
  const size = bytes.byteLength;
  const asked = Number(/^bytes=(\d+)-$/.exec(request.headers.range ?? '')?.[1] ?? 0);
  const wanted = fault === 'ignores-range' || asked >= size ? 0 : asked;
  const claimed = fault === 'lying-range' || fault === 'unasked-range' ? wanted + 1 : wanted;
  const partial = claimed > 0;
  const told = fault === 'wrong-digest-header' ? `sha256:${'0'.repeat(64)}` : digest;
  const body = spoiled(bytes.subarray(fault === 'unasked-range' ? wanted + 1 : wanted), fault, plan);
  response.writeHead(partial ? 206 : 200, {
    'content-type': mediaType,
    'docker-content-digest': told,
    etag: `"${digest}"`,
    ...(partial ? { 'content-range': `bytes ${claimed}-${size - 1}/${size}` } : {}),
    ...(fault === 'gzip-bomb' ? { 'content-encoding': 'gzip' } : {}),
    ...(fault === 'endless' ? {} : { 'content-length': fault === 'huge' ? hugeBytes : body.byteLength }),
  });
  if (request.method === 'HEAD') response.end();
  else if (fault === 'endless' || fault === 'huge') await flood(response, fault === 'huge' ? hugeBytes : Infinity);
  else if (fault === 'drop') response.write(body.subarray(0, plan.number(body.byteLength)), () => response.destroy());
  else if (fault === 'trickle') await trickle(response, body);
  else response.end(body);
}

function spoiled(bytes: Buffer, fault: Fault | undefined, plan: FaultPlan): Buffer {
  if (fault === 'gzip-bomb') return bomb;
  if (fault === 'short') return bytes.subarray(0, plan.number(bytes.byteLength));
  if (fault === 'long') return Buffer.concat([bytes, Buffer.from('and more')]);
  if (fault !== 'wrong-bytes' || bytes.byteLength === 0) return bytes;
  const copy = Buffer.from(bytes);
  const place = plan.number(copy.byteLength);
  copy[place] = (copy[place] ?? 0) ^ 1;
  return copy;
}

async function flood(response: ServerResponse, size: number): Promise<void> {
  const closed = once(response, 'close');
  const chunk = Buffer.alloc(65_536);
  for (let left = size; left > 0 && !response.destroyed; left -= chunk.byteLength) {
    const taken = response.write(chunk.subarray(0, Math.min(left, chunk.byteLength)));
    if (!taken) await Promise.race([once(response, 'drain'), closed]);
  }
  response.end();
}

async function trickle(response: ServerResponse, bytes: Buffer): Promise<void> {
  const step = Math.ceil(bytes.byteLength / 20);
  for (let from = 0; from < bytes.byteLength && !response.destroyed; from += step) {
    response.write(bytes.subarray(from, from + step));
    await delay(5);
  }
  response.end();
}
