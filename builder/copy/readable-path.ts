import { type ByteString, bytesOf } from '../../runtime/index.ts';

/** True for text that has the same bytes in latin1 and in UTF-8. */
export function isAscii(text: string): boolean {
  return /^[\x00-\x7f]*$/.test(text);
}

/** A path as patterns see it: its bytes read as UTF-8. */
export function readable(path: ByteString): string {
  return isAscii(path) ? path : bytesOf(path).toString('utf8');
}
