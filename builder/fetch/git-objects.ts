import type { Readable } from 'node:stream';
import { type CallOptions, ToolError } from '../../core/index.ts';
import type { GitMirror } from './git-mirror.ts';
import { startGit } from './git-tool.ts';
import type { RunningTool } from './tool.ts';

/** Reads blobs of a mirror one after the other, through one `git cat-file --batch`. */
export class GitObjects implements AsyncDisposable {
  readonly #mirror: GitMirror;
  readonly #options: CallOptions;
  #git: Promise<{ readonly tool: RunningTool; readonly output: ByteReader }> | undefined;

  constructor(mirror: GitMirror, options: CallOptions = {}) {
    this.#mirror = mirror;
    this.#options = options;
  }

  /** To be read to the end before the next one is asked for. @throws ToolError FETCH_GIT_OBJECT */
  async *blob(id: string, size: number): AsyncGenerator<Buffer, void> {
    this.#git ??= this.#start();
    const { tool, output } = await this.#git;
    tool.child.stdin?.write(`${id}\n`);
    const header = await output.line();
    this.#options.signal?.throwIfAborted();
    if (header !== `${id} blob ${size}`) {
      throw new ToolError(
        'FETCH_GIT_OBJECT',
        `the copy of ${this.#mirror.url.text} in the store is damaged (${header ?? id})`,
        {
          hint: `delete ${this.#mirror.repository}`,
        },
      );
    }
    yield* output.bytes(size);
    await output.line();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const git = await this.#git?.catch(() => undefined);
    await git?.tool[Symbol.asyncDispose]();
  }

  async #start() {
    const { repository, folder } = this.#mirror;
    const tool = await startGit(['cat-file', '--batch'], { ...this.#options, repository, folder }, 'pipe');
    const { stdout, stderr, stdin } = tool.child;
    if (stdout === null) throw new TypeError('there is no output to read');
    stderr?.resume();
    // A git that ended early shows in what it did not answer.
    stdin?.on('error', () => {});
    return { tool, output: new ByteReader(stdout) };
  }
}

class ByteReader {
  readonly #chunks: AsyncIterator<Buffer>;
  #rest: Buffer = Buffer.alloc(0);

  constructor(stream: Readable) {
    this.#chunks = stream[Symbol.asyncIterator]();
  }

  /** Without its end; undefined when there is none. */
  async line(): Promise<string | undefined> {
    for (;;) {
      const end = this.#rest.indexOf(0x0a);
      if (end !== -1) {
        const line = this.#rest.toString('latin1', 0, end);
        this.#rest = this.#rest.subarray(end + 1);
        return line;
      }
      if (!(await this.#more())) return undefined;
    }
  }

  async *bytes(count: number): AsyncGenerator<Buffer, void> {
    for (let left = count; left > 0; ) {
      if (this.#rest.length === 0 && !(await this.#more()))
        throw new ToolError('FETCH_GIT_OBJECT', 'git ended too early');
      const chunk = this.#rest.subarray(0, left);
      this.#rest = this.#rest.subarray(chunk.length);
      left -= chunk.length;
      yield chunk;
    }
  }

  async #more(): Promise<boolean> {
    const next = await this.#chunks.next();
    if (next.done === true) return false;
    this.#rest = this.#rest.length === 0 ? next.value : Buffer.concat([this.#rest, next.value]);
    return true;
  }
}
