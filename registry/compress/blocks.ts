/**
 * The same bytes in blocks of one size; only the last is smaller, and empty when there are no bytes. Blocks lie in
 * buffers that are filled again in turn: one is good until `buffers - 1` others have been asked for.
 */
export async function* blocksOf(
  source: AsyncIterable<Buffer>,
  { blockBytes, buffers }: { readonly blockBytes: number; readonly buffers: number },
): AsyncGenerator<Buffer> {
  const ring: Buffer[] = [];
  let turn = 0;
  let filled = 0;
  const current = (): Buffer => {
    const place = turn % buffers;
    ring[place] ??= Buffer.allocUnsafeSlow(blockBytes);
    return ring[place];
  };
  for await (const chunk of source) {
    for (let start = 0; start < chunk.byteLength; ) {
      // A full block waits for the next byte: only then is it known not to be the last.
      if (filled === blockBytes) {
        yield current();
        turn += 1;
        filled = 0;
      }
      const copied = chunk.copy(current(), filled, start);
      start += copied;
      filled += copied;
    }
  }
  yield current().subarray(0, filled);
}
