/** Samples of a segment: windows spread over it, so that a short header does not speak for the rest. */
const windows = 8;
const windowBytes = 256;
const samples = windows * windowBytes;
/**
 * Of the χ² of bytes that are all equally likely, which is 255 ± 23 for noise, and up to 800 for what gzip made: deflate
 * gains 0.5 % there. Text and programs are far above, counters and tables below.
 */
const [lowest, highest] = [130, 900];
const counts = new Int32Array(256);
const words = new Int32Array(8192);

/**
 * Whether deflate would find nothing: noise, and what is compressed or encrypted already. It takes as long over that as
 * over anything else.
 */
export function isNoise(segment: Buffer): boolean {
  if (segment.byteLength < samples) return false;
  const step = Math.floor((segment.byteLength - windowBytes) / (windows - 1));
  counts.fill(0);
  for (let window = 0; window < windows; window++) {
    const end = window * step + windowBytes;
    for (let at = window * step; at < end; at++)
      counts[segment[at] as number] = (counts[segment[at] as number] ?? 0) + 1;
  }
  const expected = samples / 256;
  let squares = 0;
  for (const count of counts) squares += (count - expected) ** 2;
  const spread = squares / expected;
  return spread >= lowest && spread <= highest && !repeats(segment, step);
}

/** Noise that comes twice is none the second time. */
function repeats(segment: Buffer, step: number): boolean {
  words.fill(0);
  for (let window = 0; window < windows; window++) {
    const end = window * step + windowBytes - 4;
    for (let at = window * step; at < end; at++) {
      const word = segment.readInt32LE(at);
      const place = Math.imul(word, 0x9e3779b1) >>> 19;
      if (words[place] === word && word !== 0) return true;
      words[place] = word;
    }
  }
  return false;
}
