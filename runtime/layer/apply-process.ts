import { type CallOptions, ToolError } from '../../core/index.ts';
import type { Launcher } from '../launcher.ts';
import { type ByteString, byteStringOf, bytesOf, displayPath, type Entry } from './entry.ts';
import { MemberContent } from './framing.ts';
import { NativeProcess } from './native-process.ts';

/** What happened beyond making the files. */
export interface ApplyReport {
  /** Directories that hide those of the layers below, sorted. */
  readonly opaques: readonly ByteString[];
  /** Directories no entry described; made 0755 root:root with the time 1. `''` when the root was not described. */
  readonly implicit: readonly ByteString[];
  /** Devices, and attributes of no meaning to containers, that this host or user namespace does not allow. */
  readonly skipped: readonly ByteString[];
}

/** runtime/native/apply.c, struct record */
const fixedBytes = 48;
const batchBytes = 256 * 1024;
const noXattrs: ReadonlyMap<string, Buffer> = new Map();
const noBytes = '' as ByteString;

const letters: Readonly<Record<Entry['type'], string>> = {
  file: 'f',
  directory: 'd',
  symlink: 'l',
  hardlink: 'h',
  character: 'c',
  block: 'b',
  fifo: 'p',
  whiteout: 'w',
  opaque: 'o',
};

/** The launcher's `apply` at work: entries go one way, a report comes back at the end. */
export class ApplyProcess implements AsyncDisposable {
  readonly #native: NativeProcess;
  readonly #answer: Promise<Buffer>;
  #batch: Buffer[] = [];
  #batched = 0;

  constructor(launcher: Launcher, directory: string, options: CallOptions & { readonly userXattrs: boolean }) {
    const flags = options.userXattrs ? ['--user-xattrs'] : [];
    this.#native = new NativeProcess(launcher, ['apply', ...flags, directory], options);
    this.#answer = readAll(this.#native.output);
  }

  /** Content of a file is sent with it; where it is at hand, and there is room, at once. @throws ToolError as `finish` */
  apply(entry: Entry): Promise<void> | undefined {
    const record = recordOf(entry);
    if (entry.type !== 'file') return this.#send(record);
    const { content } = entry;
    if (content.kind === 'disk') throw new TypeError('a layer that is read has no files on disk');
    const whole = content.kind === 'bytes' ? content.bytes : wholeOf(content.stream);
    if (whole === undefined) return this.#sendAll(record, content.kind === 'stream' ? content.stream : []);
    this.#put(record);
    return this.#send(whole);
  }

  async #sendAll(record: Buffer, chunks: AsyncIterable<Buffer> | Iterable<Buffer>): Promise<void> {
    this.#put(record);
    for await (const chunk of chunks) {
      const sending = this.#send(chunk);
      if (sending !== undefined) await sending;
    }
  }

  /** @throws ToolError LAYER_ID_UNMAPPED, LAYER_INVALID, LAYER_APPLY_FAILED */
  async finish(): Promise<ApplyReport> {
    await this.#send(endRecord());
    await this.#flush();
    this.#native.end();
    return this.#result();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#native[Symbol.asyncDispose]();
    await this.#answer;
  }

  #put(bytes: Buffer): void {
    this.#batch.push(bytes);
    this.#batched += bytes.length;
  }

  #send(bytes: Buffer): Promise<void> | undefined {
    this.#put(bytes);
    return this.#batched < batchBytes ? undefined : this.#flush();
  }

  async #flush(): Promise<void> {
    const [only] = this.#batch;
    const bytes = this.#batch.length === 1 && only !== undefined ? only : Buffer.concat(this.#batch, this.#batched);
    this.#batch = [];
    this.#batched = 0;
    if (bytes.length === 0 || (await this.#native.write(bytes))) return;
    await this.#result();
    throw new ToolError('LAYER_APPLY_FAILED', 'the native launcher stopped taking the files of the layer');
  }

  async #result(): Promise<ApplyReport> {
    const answer = await this.#answer;
    const { code, message } = await this.#native.exit();
    const lines = parseAnswer(answer);
    const failure = lines.find((line) => line.kind === 'X');
    if (failure !== undefined) throw failureOf(failure, lines);
    if (code !== 0 || lines.at(-1)?.kind !== 'E') {
      throw new ToolError('LAYER_APPLY_FAILED', `the native launcher failed to apply a layer: ${message || code}`);
    }
    const paths = (kind: string) => [...new Set(lines.filter((line) => line.kind === kind).map((line) => line.text))];
    return { opaques: paths('O'), implicit: paths('I'), skipped: paths('S') };
  }
}

function wholeOf(stream: AsyncIterable<Buffer>): Buffer | undefined {
  return stream instanceof MemberContent ? stream.whole : undefined;
}

function recordOf(entry: Entry): Buffer {
  const path = bytesOf(entry.path);
  if (entry.type === 'whiteout' || entry.type === 'opaque') {
    const record = Buffer.alloc(fixedBytes);
    record.write(letters[entry.type], 0, 'latin1');
    record.writeUInt32LE(path.length, 20);
    return Buffer.concat([record, path]);
  }
  const link = bytesOf(entry.type === 'symlink' || entry.type === 'hardlink' ? entry.target : noBytes);
  const xattrs = xattrsOf(entry.xattrs ?? noXattrs);
  const record = Buffer.alloc(fixedBytes);
  record.write(letters[entry.type], 0, 'latin1');
  record.writeUInt32LE(entry.mode, 4);
  record.writeUInt32LE(entry.uid, 8);
  record.writeUInt32LE(entry.gid, 12);
  record.writeUInt32LE(entry.mtime.nanoseconds, 16);
  record.writeUInt32LE(path.length, 20);
  record.writeUInt32LE(link.length, 24);
  record.writeUInt32LE(xattrs.length, 28);
  record.writeBigInt64LE(BigInt(entry.mtime.seconds), 32);
  record.writeBigUInt64LE(sizeField(entry), 40);
  return Buffer.concat([record, path, link, xattrs]);
}

function sizeField(entry: Entry): bigint {
  if (entry.type === 'file') return BigInt(entry.size);
  if (entry.type === 'character' || entry.type === 'block') return (BigInt(entry.major) << 32n) | BigInt(entry.minor);
  return 0n;
}

function endRecord(): Buffer {
  const record = Buffer.alloc(fixedBytes);
  record.write('e', 0, 'latin1');
  return record;
}

function xattrsOf(xattrs: ReadonlyMap<string, Buffer>): Buffer {
  const parts: Buffer[] = [];
  for (const [name, value] of xattrs) {
    const key = Buffer.from(name, 'latin1');
    const lengths = Buffer.alloc(8);
    lengths.writeUInt32LE(key.length, 0);
    lengths.writeUInt32LE(value.length, 4);
    parts.push(lengths, key, value);
  }
  return Buffer.concat(parts);
}

interface AnswerLine {
  readonly kind: string;
  /** errno */
  readonly error: number;
  readonly text: ByteString;
}

function parseAnswer(bytes: Buffer): AnswerLine[] {
  const lines: AnswerLine[] = [];
  for (let at = 0; at + 12 <= bytes.length; ) {
    const end = at + 12 + bytes.readUInt32LE(at + 8);
    if (end > bytes.length) break;
    const kind = String.fromCharCode(bytes.readUInt32LE(at));
    lines.push({ kind, error: bytes.readUInt32LE(at + 4), text: byteStringOf(bytes.subarray(at + 12, end)) });
    at = end;
  }
  return lines;
}

const invalidArgument = 22;
const notPermitted = 1;

function failureOf(failure: AnswerLine, lines: readonly AnswerLine[]): ToolError {
  const action = lines.find((line) => line.kind === 'A')?.text ?? 'apply';
  const reason = lines.find((line) => line.kind === 'T')?.text ?? `error ${failure.error}`;
  const shown = displayPath(failure.text) || 'the root';
  if (action === 'chown' && (failure.error === invalidArgument || failure.error === notPermitted)) {
    return new ToolError('LAYER_ID_UNMAPPED', `the owner of ${shown} has an id that does not exist for this user`, {
      hint: 'give the user more subordinate ids in /etc/subuid and /etc/subgid, for example: usermod --add-subuids 100000-165535 --add-subgids 100000-165535 USER',
    });
  }
  if (action === 'link') {
    return new ToolError('LAYER_INVALID', `the hard link ${shown} leads to no file of its layer (${reason})`);
  }
  if (action === 'resolve') {
    return new ToolError('LAYER_INVALID', `${shown} cannot be where the layer puts it (${reason})`);
  }
  return new ToolError('LAYER_APPLY_FAILED', `cannot ${action} ${shown} while applying a layer: ${reason}`);
}

async function readAll(stream: AsyncIterable<Buffer>): Promise<Buffer> {
  const chunks: Buffer[] = [];
  try {
    for await (const chunk of stream) chunks.push(chunk);
  } catch {
    // Cut off by dispose; an incomplete answer is noticed by its missing end.
  }
  return Buffer.concat(chunks);
}
