/** What stands where a secret was. */
const mark = Buffer.from('***');
/** Anything shorter is in every output. */
const shortestBytes = 4;

/** The texts to look for, by their first four bytes, the longest first. */
type Wanted = ReadonlyMap<number, readonly Buffer[]>;

/**
 * Replaces secrets in what a command prints by `***`, also where one is spread over several chunks. A secret of
 * several lines is looked for as a whole and line by line. What could be the beginning of one is held back until it
 * is known, or the output ends.
 */
export class OutputMask {
  readonly #wanted: Wanted;
  /** Which first bytes there are: most places of an output are passed over by one look. */
  readonly #firstBytes = new Uint8Array(256);
  #held: Buffer = Buffer.alloc(0);

  constructor(secrets: readonly Buffer[]) {
    this.#wanted = byBeginning(secrets.flatMap(textsOf));
    for (const beginning of this.#wanted.keys()) this.#firstBytes[beginning >>> 24] = 1;
  }

  /** What can be shown now. */
  push(bytes: Buffer): Buffer {
    return this.#mask(bytes, false);
  }

  /** What was held back, when no more will come. */
  end(): Buffer {
    return this.#mask(Buffer.alloc(0), true);
  }

  #mask(bytes: Buffer, isLast: boolean): Buffer {
    if (this.#wanted.size === 0) return bytes;
    const all = this.#held.length === 0 ? bytes : Buffer.concat([this.#held, bytes]);
    const parts: Buffer[] = [];
    let from = 0;
    let at = 0;
    while (at < all.length) {
      const found = this.#firstBytes[all[at] ?? 0] === 1 ? this.#at(all, at, isLast) : 0;
      if (found === 'unknown') break;
      if (found > 0) {
        parts.push(all.subarray(from, at), mark);
        from = at + found;
      }
      at += Math.max(1, found);
    }
    parts.push(all.subarray(from, at));
    this.#held = Buffer.from(all.subarray(at));
    return parts.length === 1 ? (parts[0] ?? all) : Buffer.concat(parts);
  }

  /** Length of the secret that begins at a place, 0 for none, `unknown` while its end has not come. */
  #at(bytes: Buffer, at: number, isLast: boolean): number | 'unknown' {
    const left = bytes.length - at;
    if (left < shortestBytes) return !isLast && this.#mayBegin(bytes.subarray(at)) ? 'unknown' : 0;
    for (const text of this.#wanted.get(bytes.readUInt32BE(at)) ?? []) {
      const length = Math.min(text.length, left);
      if (text.compare(bytes, at, at + length, 0, length) !== 0) continue;
      if (length === text.length) return length;
      if (!isLast) return 'unknown';
    }
    return 0;
  }

  #mayBegin(bytes: Buffer): boolean {
    for (const [text] of this.#wanted.values()) {
      if (text?.subarray(0, bytes.length).equals(bytes) === true) return true;
    }
    return false;
  }
}

function textsOf(secret: Buffer): Buffer[] {
  const lines: Buffer[] = [trimmed(secret)];
  let from = 0;
  for (let end = secret.indexOf(0x0a); end !== -1; end = secret.indexOf(0x0a, from)) {
    lines.push(trimmed(secret.subarray(from, end)));
    from = end + 1;
  }
  lines.push(trimmed(secret.subarray(from)));
  return lines.filter((line) => line.length >= shortestBytes);
}

/** Without spaces and line ends around it: programs print a secret without them. */
function trimmed(bytes: Buffer): Buffer {
  const isSpace = (byte: number | undefined): boolean =>
    byte === 0x20 || (byte !== undefined && byte >= 9 && byte <= 13);
  let [start, end] = [0, bytes.length];
  while (start < end && isSpace(bytes[start])) start++;
  while (end > start && isSpace(bytes[end - 1])) end--;
  return bytes.subarray(start, end);
}

function byBeginning(texts: readonly Buffer[]): Wanted {
  const wanted = new Map<number, Buffer[]>();
  const seen = new Set<string>();
  for (const text of texts.toSorted((a, b) => b.length - a.length)) {
    const name = text.toString('latin1');
    if (seen.has(name)) continue;
    seen.add(name);
    const beginning = text.readUInt32BE(0);
    wanted.set(beginning, [...(wanted.get(beginning) ?? []), text]);
  }
  return wanted;
}
