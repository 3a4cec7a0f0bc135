import { Readable } from 'node:stream';
import { forEachEntry } from './decode.ts';
import type { Entry } from './entry.ts';

/** What a hand-made member of an archive has; all that is left out is harmless. */
export interface RawMember {
  readonly name?: string;
  readonly flag?: string;
  readonly link?: string;
  readonly mode?: string;
  readonly uid?: string;
  readonly size?: string;
  readonly mtime?: string;
  readonly magic?: string;
  readonly prefix?: string;
  readonly content?: string | Buffer;
  readonly device?: readonly [string, string];
}

export const endOfArchive = Buffer.alloc(1024);

/** Header and padded content, with none of the encoder's rules. */
export function member(raw: RawMember): Buffer {
  const content = Buffer.from(raw.content ?? '');
  const block = Buffer.alloc(512);
  const put = (text: string, at: number) => block.write(text, at, 'latin1');
  put(raw.name ?? 'file', 0);
  put(raw.mode ?? '0000644\0', 100);
  put(raw.uid ?? '0000000\0', 108);
  put('0000000\0', 116);
  put(raw.size ?? `${content.length.toString(8).padStart(11, '0')}\0`, 124);
  put(raw.mtime ?? '00000000001\0', 136);
  put('        ', 148);
  put(raw.flag ?? '0', 156);
  put(raw.link ?? '', 157);
  put(raw.magic ?? 'ustar\x0000', 257);
  for (const [i, number] of (raw.device ?? []).entries()) put(number.padStart(7, '0'), 329 + 8 * i);
  put(raw.prefix ?? '', 345);
  const sum = block.reduce((total, byte) => total + byte, 0);
  put(`${sum.toString(8).padStart(6, '0')}\0 `, 148);
  return Buffer.concat([block, content, Buffer.alloc((512 - (content.length % 512)) % 512)]);
}

/** A pax header whose records have the right lengths. */
export function paxMember(records: Readonly<Record<string, string | Buffer>>, flag = 'x'): Buffer {
  const lines = Object.entries(records).map(([keyword, value]) => {
    const body = Buffer.concat([Buffer.from(` ${keyword}=`), Buffer.from(value), Buffer.from('\n')]);
    let length = body.length + 1;
    while (String(length).length + body.length !== length) length++;
    return Buffer.concat([Buffer.from(String(length)), body]);
  });
  return member({ name: 'pax', flag, content: Buffer.concat(lines) });
}

/** The entries of an archive made of these parts; content is left unread. */
export async function entriesOf(...parts: readonly Buffer[]): Promise<Entry[]> {
  const entries: Entry[] = [];
  const tar = Readable.from([Buffer.concat([...parts, endOfArchive])], { objectMode: false });
  await forEachEntry(tar, (entry) => {
    entries.push(entry);
  });
  return entries;
}
