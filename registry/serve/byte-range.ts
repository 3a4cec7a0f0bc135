/** Of a blob of known size; both ends inclusive. */
export interface ByteRange {
  readonly first: number;
  readonly last: number;
}

const maxDigits = 15;

/**
 * Reads a `Range` header for content of `size` bytes. RFC 9110 §14.2
 * @returns undefined where the whole is to be sent: another unit, or several ranges, which a server may ignore
 */
export function parseRange(header: string, size: number): ByteRange | 'unsatisfiable' | undefined {
  const [, set] = /^bytes=(.*)$/i.exec(header.trim()) ?? [];
  if (set === undefined || set.includes(',')) return undefined;
  const [, from = '', to = ''] = /^[ \t]*(\d*)-(\d*)[ \t]*$/.exec(set) ?? [];
  if (from === '' && to === '') return 'unsatisfiable';
  if (from === '') {
    const length = Math.min(wholeNumber(to), size);
    return length === 0 ? 'unsatisfiable' : { first: size - length, last: size - 1 };
  }
  const first = wholeNumber(from);
  const last = to === '' ? size - 1 : Math.min(wholeNumber(to), size - 1);
  return first > last ? 'unsatisfiable' : { first, last };
}

/** Reads the `Content-Range` of a chunk: `0-99`, nothing else. distribution-spec, #pushing-a-blob-in-chunks */
export function parseContentRange(header: string): ByteRange | undefined {
  const [, from = '', to = ''] = /^(\d+)-(\d+)$/.exec(header) ?? [];
  if (from === '' || from.length > maxDigits || to.length > maxDigits) return undefined;
  const range = { first: Number(from), last: Number(to) };
  return range.last < range.first ? undefined : range;
}

/** How a range of what was uploaded so far is written; a range cannot say "nothing", so that is `0-0` as well. */
export function uploadedRange(size: number): string {
  return `0-${Math.max(size - 1, 0)}`;
}

/** More digits than any blob's size has count as the most there can be. */
function wholeNumber(digits: string): number {
  return digits.replace(/^0+/, '').length > maxDigits ? Number.MAX_SAFE_INTEGER : Number(digits);
}
