import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { open, stat } from 'node:fs/promises';
import { pipeline } from 'node:stream/promises';
import { inflateRawSync } from 'node:zlib';
import { type CallOptions, ToolError } from '../../core/index.ts';

/** Signature and control part lie before the content, which may be big. */
const maxHeadBytes = 16 * 1024 * 1024;
const maxControlBytes = 64 * 1024 * 1024;

/**
 * The hash that apk's index has of a package file: of its control part, which in turn holds the hash of the content. Both
 * are checked. https://wiki.alpinelinux.org/wiki/Apk_spec
 * @throws ToolError PACKAGES_FAILED for a file that is none
 */
export async function apkHashOf(file: string, options: CallOptions = {}): Promise<string> {
  const head = await readHead(file);
  const members = [memberAt(head, 0, file)];
  // A signature comes first where there is one.
  if (/^\.SIGN\./.test(tarName(members[0]?.content))) members.push(memberAt(head, members[0]?.end ?? 0, file));
  const control = members.at(-1);
  if (control === undefined) throw notApk(file);
  const start = members.length === 1 ? 0 : (members[0]?.end ?? 0);
  const wanted = /^datahash = ([0-9a-f]{64})$/m.exec(control.content.toString('latin1'))?.[1];
  if (wanted !== undefined) {
    const hash = createHash('sha256');
    await pipeline(createReadStream(file, { start: control.end }), hash, { signal: options.signal });
    if (hash.digest('hex') !== wanted) return 'of a content that its control part does not name';
  }
  return `Q1${createHash('sha1').update(head.subarray(start, control.end)).digest('base64')}`;
}

interface Member {
  /** Where the next one begins. */
  readonly end: number;
  readonly content: Buffer;
}

/** RFC 1952: one of the gzip streams that a package consists of. */
function memberAt(bytes: Buffer, start: number, file: string): Member {
  if (bytes.readUInt16BE(start) !== 0x1f8b) throw notApk(file);
  const flags = bytes[start + 3] ?? 0;
  let at = start + 10;
  if (flags & 4) at += 2 + bytes.readUInt16LE(at);
  for (const flag of [8, 16]) if (flags & flag) at = bytes.indexOf(0, at) + 1;
  if (flags & 2) at += 2;
  try {
    const result: unknown = inflateRawSync(bytes.subarray(at), { info: true, maxOutputLength: maxControlBytes });
    const { buffer, engine } = result as { buffer: Buffer; engine: { bytesWritten: number } };
    return { end: at + engine.bytesWritten + 8, content: buffer };
  } catch (cause) {
    throw notApk(file, cause);
  }
}

async function readHead(file: string): Promise<Buffer> {
  const { size } = await stat(file);
  await using handle = await open(file);
  const head = Buffer.alloc(Math.min(size, maxHeadBytes));
  await handle.read(head, 0, head.length, 0);
  if (head.length < 20) throw notApk(file);
  return head;
}

function tarName(content: Buffer | undefined): string {
  return content?.subarray(0, 100).toString('latin1').replace(/\0.*$/s, '') ?? '';
}

function notApk(file: string, cause?: unknown): ToolError {
  const name = file.slice(file.lastIndexOf('/') + 1);
  return new ToolError('PACKAGES_FAILED', `${name} is not a package in the format of apk 2`, {
    cause,
    hint: 'packages in the format of apk 3 are to be installed in a run step',
  });
}
