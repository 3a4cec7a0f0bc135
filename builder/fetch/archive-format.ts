/** What an archive is by its first bytes; names and media types are not asked. */
export type ArchiveFormat = 'tar' | 'gzip' | 'bzip2' | 'xz' | 'zstd' | 'zip';

/** Enough for every mark, and one block of a tar. */
export const sniffedBytes = 512;

const marks: readonly (readonly [ArchiveFormat, readonly number[]])[] = [
  ['gzip', [0x1f, 0x8b, 0x08]],
  ['bzip2', [0x42, 0x5a, 0x68]],
  ['xz', [0xfd, 0x37, 0x7a, 0x58, 0x5a, 0x00]],
  ['zstd', [0x28, 0xb5, 0x2f, 0xfd]],
  ['zip', [0x50, 0x4b, 0x03, 0x04]],
  // A zip file without members has its end only.
  ['zip', [0x50, 0x4b, 0x05, 0x06]],
];

/** Undefined when the bytes begin nothing that can be unpacked. */
export function archiveFormatOf(head: Buffer): ArchiveFormat | undefined {
  const marked = marks.find(([, mark]) => mark.every((byte, index) => head[index] === byte));
  if (marked !== undefined) return marked[0];
  // zstd's skippable frames, which carry metadata. RFC 8878, section 3.1.2
  if (head.length >= 4 && (head.readUInt32LE(0) & 0xfffffff0) >>> 0 === 0x184d2a50) return 'zstd';
  return isTarBlock(head) ? 'tar' : undefined;
}

/** The checksum of a header is the sum of its bytes, its own field taken as spaces; zeros end an empty archive. */
function isTarBlock(head: Buffer): boolean {
  if (head.length < 512) return false;
  const block = head.subarray(0, 512);
  if (block.every((byte) => byte === 0)) return true;
  const stored = /^[ \0]*([0-7]+)/.exec(block.toString('latin1', 148, 156))?.[1];
  if (stored === undefined) return false;
  let sum = 8 * 0x20;
  for (const [index, byte] of block.entries()) if (index < 148 || index >= 156) sum += byte;
  return Number.parseInt(stored, 8) === sum;
}
