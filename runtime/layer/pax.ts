import { ToolError } from '../../core/index.ts';

/** Records of a pax extended header: keyword (as latin1) to raw value. POSIX pax, "pax Extended Header". */
export type PaxRecords = Map<string, Buffer>;

/** What precedes the name of an extended attribute in a keyword; its value is the raw value. */
export const xattrKeyword = 'SCHILY.xattr.';

/** The records in bytewise order of their keywords. */
export function encodePax(records: ReadonlyMap<string, Buffer>): Buffer {
  const sorted = [...records].sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0));
  return Buffer.concat(sorted.map(([keyword, value]) => paxRecord(keyword, value)));
}

/** `LENGTH KEYWORD=VALUE\n`, where LENGTH counts itself. */
function paxRecord(keyword: string, value: Buffer): Buffer {
  const body = Buffer.from(` ${keyword}=`, 'latin1');
  const rest = body.length + value.length + 1;
  let length = rest + 1;
  while (String(length).length + rest !== length) length = String(length).length + rest;
  return Buffer.concat([Buffer.from(String(length)), body, value, Buffer.from('\n')]);
}

/**
 * Reads the body of a pax header out of a hostile archive; the last of equal keywords counts.
 * @throws ToolError LAYER_INVALID
 */
export function parsePax(bytes: Buffer): PaxRecords {
  const records: PaxRecords = new Map();
  for (let at = 0; at < bytes.length; ) {
    const space = bytes.indexOf(0x20, at);
    const digits = space === -1 ? '' : bytes.toString('latin1', at, Math.min(space, at + 11));
    if (!/^[1-9][0-9]*$/.test(digits)) throw malformed();
    const length = Number(digits);
    const end = at + length;
    const equals = bytes.indexOf(0x3d, space + 1);
    if (end > bytes.length || equals <= space + 1 || equals >= end - 1 || bytes[end - 1] !== 0x0a) throw malformed();
    records.set(bytes.toString('latin1', space + 1, equals), bytes.subarray(equals + 1, end - 1));
    at = end;
  }
  return records;
}

function malformed(): ToolError {
  return new ToolError('LAYER_INVALID', 'the layer holds a pax header that is not a list of records');
}
