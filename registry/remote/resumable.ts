import { Readable } from 'node:stream';
import { type CallOptions, errorCode } from '../../core/index.ts';
import type { HttpResponse } from './http.ts';

const maxResumptions = 5;

/**
 * A body that goes on where it broke off. Resumed bytes may be wrong like all others: whoever reads verifies.
 * @param more asks for the body from a byte on
 */
export function resumable(
  first: HttpResponse,
  more: (from: number) => Promise<HttpResponse>,
  options: CallOptions = {},
): Readable {
  let body = first.body;
  let chunks: AsyncIterator<Buffer> = body[Symbol.asyncIterator]();
  let received = 0;
  let resumptions = 0;

  return new Readable({
    async read() {
      try {
        const { value, done } = await next();
        received += done === true ? 0 : value.byteLength;
        this.push(done === true ? null : value);
      } catch (error) {
        this.destroy(error instanceof Error ? error : new TypeError(String(error)));
      }
    },
    destroy(error, callback) {
      body.destroy();
      callback(error);
    },
  });

  async function next(): Promise<IteratorResult<Buffer>> {
    for (;;) {
      try {
        return await chunks.next();
      } catch (error) {
        if (!canResume(error)) throw error;
        resumptions += 1;
        const response = await more(received);
        if (startOf(response) !== received) {
          response.body.destroy();
          throw error;
        }
        body = response.body;
        chunks = body[Symbol.asyncIterator]();
      }
    }
  }

  /** Not before the first byte: what broke then was asked for once more already. */
  function canResume(error: unknown): boolean {
    const broken = errorCode(error) === 'REGISTRY_UNREACHABLE' || errorCode(error) === 'REGISTRY_STALLED';
    return broken && received > 0 && resumptions < maxResumptions && !options.signal?.aborted;
  }
}

function startOf(response: HttpResponse): number | undefined {
  const range = /^bytes (\d{1,15})-/.exec(response.headers.get('content-range') ?? '');
  return range?.[1] === undefined ? undefined : Number(range[1]);
}
