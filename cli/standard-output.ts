import { errorCode, ToolError } from '../core/index.ts';

/**
 * Writes bytes to standard output no faster than its reader takes them.
 * @throws ToolError OUTPUT_FAILED when the reader went away or the disk is full
 */
export async function writeToStandardOutput(chunks: AsyncIterable<Buffer>): Promise<void> {
  for await (const chunk of chunks) {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    process.stdout.write(chunk, (error) => (error ? reject(failure(error)) : resolve()));
    await promise;
  }
}

function failure(cause: Error): ToolError {
  const why = errorCode(cause) === 'EPIPE' ? 'its reader went away' : cause.message;
  return new ToolError('OUTPUT_FAILED', `not all could be written to standard output: ${why}`, { cause });
}
