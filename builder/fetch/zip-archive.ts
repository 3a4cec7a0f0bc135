import { type FileHandle, open } from 'node:fs/promises';
import { pipeline, Readable } from 'node:stream';
import { crc32, createInflateRaw } from 'node:zlib';
import { type CallOptions, ToolError } from '../../core/index.ts';
import { type ByteString, byteString, byteStringOf, displayPath, type Entry } from '../../runtime/index.ts';
import { readZipDirectory, type ZipMember } from './zip-directory.ts';

const chunkBytes = 1024 * 1024;
const maxLinkBytes = 4095;
const fileTypes = { mask: 0o170000, symlink: 0o120000, regular: 0o100000, directory: 0o040000 } as const;

/**
 * Visits what is in a zip file, in the order of its central directory, which alone is believed. The visitor must be done
 * with an entry's content when it returns.
 * @throws ToolError FETCH_ARCHIVE_INVALID, FETCH_ARCHIVE_UNSUPPORTED
 */
export async function forEachZipEntry(
  file: string,
  visit: (entry: Entry) => Promise<void>,
  options: CallOptions = {},
): Promise<void> {
  await using handle = await open(file, 'r');
  const { size } = await handle.stat();
  for (const member of await readZipDirectory(handle, size)) {
    options.signal?.throwIfAborted();
    await visit(await entryOf(handle, member));
  }
}

async function entryOf(handle: FileHandle, member: ZipMember): Promise<Entry> {
  const path = cleanPath(member);
  const type = member.unixMode & fileTypes.mask;
  const metadata = { path, uid: 0, gid: 0, mtime: { seconds: member.seconds, nanoseconds: 0 } };
  const bits = member.unixMode & 0o7777;
  if (type === fileTypes.directory || (type === 0 && member.name.endsWith('/'))) {
    return { ...metadata, type: 'directory', mode: bits === 0 ? 0o755 : bits };
  }
  if (path === '') throw invalid('it has a file without a name');
  if (type === fileTypes.symlink) {
    if (member.size > maxLinkBytes) throw invalid(`the link ${displayPath(path)} has ${member.size} bytes`);
    const chunks: Buffer[] = [];
    for await (const chunk of contentOf(handle, member)) chunks.push(chunk);
    const target = byteStringOf(Buffer.concat(chunks));
    if (target === '' || target.includes('\0')) throw invalid(`the link ${displayPath(path)} leads nowhere`);
    return { ...metadata, type: 'symlink', mode: 0o777, target };
  }
  if (type !== 0 && type !== fileTypes.regular)
    throw invalid(`${displayPath(path)} is neither file, directory nor link`);
  return {
    ...metadata,
    type: 'file',
    mode: bits === 0 ? 0o644 : bits,
    size: member.size,
    content: { kind: 'stream', stream: contentOf(handle, member) },
  };
}

/** A member's bytes; their size and checksum are those of the directory, or reading them fails. */
async function* contentOf(handle: FileHandle, member: ZipMember): AsyncGenerator<Buffer, void> {
  const start = await dataStart(handle, member);
  const stored = storedBytes(handle, start, member.compressedSize);
  let size = 0;
  let sum = 0;
  for await (const chunk of member.method === 0 ? stored : inflated(stored, member)) {
    size += chunk.length;
    if (size > member.size) break;
    sum = crc32(chunk, sum);
    yield chunk;
  }
  if (size !== member.size || sum !== member.crc32) throw invalid(`${shown(member)} is damaged`);
}

async function* inflated(stored: AsyncIterable<Buffer>, member: ZipMember): AsyncGenerator<Buffer, void> {
  try {
    const source = Readable.from(stored, { objectMode: false });
    // A failing source destroys the engine with its error, which the loop then throws.
    yield* pipeline(source, createInflateRaw({ chunkSize: chunkBytes }), () => undefined) as AsyncIterable<Buffer>;
  } catch (error) {
    if (error instanceof ToolError) throw error;
    throw new ToolError('FETCH_ARCHIVE_INVALID', `${shown(member)} cannot be decompressed`, { cause: error });
  }
}

/** Behind the member's own header, whose name and extra field may differ in length from the directory's. */
async function dataStart(handle: FileHandle, member: ZipMember): Promise<number> {
  const { buffer, bytesRead } = await handle.read(Buffer.alloc(30), 0, 30, member.offset);
  if (bytesRead < 30 || buffer.readUInt32LE(0) !== 0x04034b50)
    throw invalid(`${shown(member)} is not where it should be`);
  return member.offset + 30 + buffer.readUInt16LE(26) + buffer.readUInt16LE(28);
}

async function* storedBytes(handle: FileHandle, start: number, size: number): AsyncGenerator<Buffer, void> {
  for (let done = 0; done < size; ) {
    const chunk = Buffer.allocUnsafe(Math.min(size - done, chunkBytes));
    const { bytesRead } = await handle.read(chunk, 0, chunk.length, start + done);
    if (bytesRead === 0) throw invalid('it ends too early');
    done += bytesRead;
    yield chunk.subarray(0, bytesRead);
  }
}

/** Without leading `/`, `.` and empty components. */
function cleanPath(member: ZipMember): ByteString {
  const { name } = member;
  if (name.includes('\0')) throw invalid('a name contains a zero byte');
  const components = name.split('/').filter((component) => component !== '' && component !== '.');
  if (components.includes('..')) throw invalid(`the name ${shown(member)} leads out of the directory it is in`);
  const path = components.join('/') as ByteString;
  if (path.length > 4095) throw invalid(`a name has ${path.length} bytes`);
  return path;
}

function shown({ name }: ZipMember): string {
  return displayPath(name.length > 200 ? byteString(`${name.slice(0, 200)}…`) : name);
}

function invalid(why: string): ToolError {
  return new ToolError('FETCH_ARCHIVE_INVALID', `the zip file is not valid: ${why}`);
}
