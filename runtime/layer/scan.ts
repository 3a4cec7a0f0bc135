import { type CallOptions, ToolError } from '../../core/index.ts';
import type { Launcher } from '../launcher.ts';
import { type ByteString, bytesOf, type FileTime } from './entry.ts';
import { NativeProcess } from './native-process.ts';

/** One file of a directory tree as it is on disk. */
export interface ScanRecord {
  /** Relative to where the scan began; `''` for that directory itself. */
  readonly path: ByteString;
  /** With the type of file: S_IFMT. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly links: number;
  readonly major: number;
  readonly minor: number;
  readonly size: number;
  readonly mtime: FileTime;
  /** Equal for hard links of one file. */
  readonly identity: string;
  /** Of a symbolic link. */
  readonly target: ByteString;
  readonly xattrs: ReadonlyMap<string, Buffer>;
}

export interface ScanOptions extends CallOptions {
  /** Start from this directory below; symbolic links on the way are not followed. */
  readonly under?: ByteString;
  /** Times that are `from` or later become `to`, on disk too; sockets are removed. */
  readonly clamp?: { readonly from: FileTime; readonly to: FileTime };
}

/** runtime/native/scan.c, struct record */
const fixedBytes = 72;
const noXattrs: ReadonlyMap<string, Buffer> = new Map();

/**
 * Everything in a directory, in bytewise order of the paths, itself first; sockets are left out.
 * @throws ToolError SCAN_FAILED
 */
export async function* scan(
  launcher: Launcher,
  directory: string,
  options: ScanOptions = {},
): AsyncGenerator<ScanRecord, void> {
  await using native = new NativeProcess(launcher, ['scan', ...flagsOf(options), directory], options);
  native.end();
  yield* recordsOf(native, directory);
}

/**
 * What some paths of a directory name, relative to it, in their order; nothing for those that are not there. Symbolic
 * links are not followed, save on the way.
 * @throws ToolError SCAN_FAILED
 */
export async function* scanListed(
  launcher: Launcher,
  directory: string,
  paths: readonly ByteString[],
  options: CallOptions = {},
): AsyncGenerator<ScanRecord, void> {
  if (paths.length === 0) return;
  await using native = new NativeProcess(launcher, ['scan', '--listed', directory], options);
  await native.write(bytesOf(`${paths.join('\0')}\0` as ByteString));
  native.end();
  yield* recordsOf(native, directory);
}

async function* recordsOf(native: NativeProcess, directory: string): AsyncGenerator<ScanRecord, void> {
  let rest: Buffer = Buffer.alloc(0);
  let isWhole = false;
  for await (const chunk of native.output as AsyncIterable<Buffer>) {
    let at = 0;
    const bytes = rest.length === 0 ? chunk : Buffer.concat([rest, chunk]);
    for (let end = recordEnd(bytes, at); end !== undefined; end = recordEnd(bytes, at)) {
      if (bytes.readUInt32LE(at) === 0) isWhole = true;
      else yield parseRecord(bytes, at);
      at = end;
    }
    rest = bytes.subarray(at);
  }
  const { code, message } = await native.exit();
  if (code !== 0 || !isWhole) {
    throw new ToolError('SCAN_FAILED', `${directory} could not be scanned: ${message || 'the scan was cut off'}`);
  }
}

function flagsOf({ under, clamp }: ScanOptions): string[] {
  const times = clamp === undefined ? [] : [clamp.from, clamp.to];
  return [
    ...(clamp === undefined ? [] : ['--clamp', ...times.flatMap((t) => [String(t.seconds), String(t.nanoseconds)])]),
    ...(under === undefined || under === '' ? [] : ['--under', bytesOf(under).toString('hex')]),
  ];
}

function recordEnd(bytes: Buffer, at: number): number | undefined {
  if (at + fixedBytes > bytes.length) return undefined;
  const end = at + fixedBytes + bytes.readUInt32LE(at + 28) + bytes.readUInt32LE(at + 32) + bytes.readUInt32LE(at + 36);
  return end > bytes.length ? undefined : end;
}

function parseRecord(bytes: Buffer, at: number): ScanRecord {
  const pathAt = at + fixedBytes;
  const targetAt = pathAt + bytes.readUInt32LE(at + 28);
  const xattrsAt = targetAt + bytes.readUInt32LE(at + 32);
  const xattrsEnd = xattrsAt + bytes.readUInt32LE(at + 36);
  return {
    mode: bytes.readUInt32LE(at),
    uid: bytes.readUInt32LE(at + 4),
    gid: bytes.readUInt32LE(at + 8),
    links: bytes.readUInt32LE(at + 12),
    major: bytes.readUInt32LE(at + 16),
    minor: bytes.readUInt32LE(at + 20),
    mtime: { seconds: Number(bytes.readBigInt64LE(at + 64)), nanoseconds: bytes.readUInt32LE(at + 24) },
    identity: bytes.toString('latin1', at + 40, at + 56),
    size: Number(bytes.readBigUInt64LE(at + 56)),
    path: bytes.toString('latin1', pathAt, targetAt) as ByteString,
    target: bytes.toString('latin1', targetAt, xattrsAt) as ByteString,
    xattrs: xattrsAt === xattrsEnd ? noXattrs : parseXattrs(bytes.subarray(xattrsAt, xattrsEnd)),
  };
}

function parseXattrs(bytes: Buffer): ReadonlyMap<string, Buffer> {
  const xattrs = new Map<string, Buffer>();
  for (let at = 0; at < bytes.length; ) {
    const valueAt = at + 8 + bytes.readUInt32LE(at);
    const end = valueAt + bytes.readUInt32LE(at + 4);
    // A copy: the chunk it lies in is big, and entries may be kept.
    xattrs.set(bytes.toString('latin1', at + 8, valueAt), Buffer.from(bytes.subarray(valueAt, end)));
    at = end;
  }
  return xattrs;
}
