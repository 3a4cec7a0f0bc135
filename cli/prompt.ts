import { createInterface } from 'node:readline/promises';
import { addAbortSignal, Writable } from 'node:stream';
import { type CallOptions, ToolError } from '../core/index.ts';
import type { Terminal } from './terminal.ts';

/**
 * Asks on stderr and reads a line of the terminal; a secret is not shown while it is typed.
 * @throws ToolError USAGE_NO_TERMINAL when stdin is none, with `hint`
 */
export async function ask(
  { input, err }: Terminal,
  question: string,
  options: CallOptions & { readonly secret?: boolean; readonly hint: string },
): Promise<string> {
  if (input.isTTY !== true) {
    throw new ToolError('USAGE_NO_TERMINAL', `there is no terminal to ask for the ${question.toLowerCase()}`, {
      hint: options.hint,
    });
  }
  const echo = new Writable({
    write(chunk: Buffer, _encoding, done) {
      if (!options.secret) err.write(chunk);
      done();
    },
  });
  const lines = createInterface({ input, output: echo, terminal: options.secret === true });
  const interrupted = new AbortController();
  // In raw mode the terminal sends no SIGINT; readline tells of Ctrl-C itself.
  lines.once('SIGINT', () => process.kill(process.pid, 'SIGINT'));
  lines.once('close', () =>
    interrupted.abort(new ToolError('USAGE_NO_TERMINAL', 'the input ended before an answer', { hint: options.hint })),
  );
  err.write(options.secret ? `${question}: ` : '');
  const signals = [interrupted.signal, ...(options.signal === undefined ? [] : [options.signal])];
  try {
    return await lines.question(options.secret ? '' : `${question}: `, { signal: AbortSignal.any(signals) });
  } catch (error) {
    options.signal?.throwIfAborted();
    if (interrupted.signal.aborted) throw interrupted.signal.reason;
    throw error;
  } finally {
    if (options.secret) err.write('\n');
    lines.close();
  }
}

/** All of stdin as one secret, without the line break that `echo` adds. */
export async function readSecret({ input }: Terminal, { signal }: CallOptions = {}): Promise<string> {
  if (signal !== undefined) addAbortSignal(signal, input);
  const limit = 64 * 1024;
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of input) {
    const bytes = Buffer.from(chunk);
    size += bytes.length;
    if (size > limit) throw new ToolError('USAGE_PASSWORD', `the password on stdin is longer than ${limit} bytes`);
    chunks.push(bytes);
  }
  return Buffer.concat(chunks)
    .toString('utf8')
    .replace(/\r?\n$/, '');
}
