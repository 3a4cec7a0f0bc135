/** How much of a failed step's output is kept to be shown. */
const keptOutputBytes = 16 * 1024;

/** The last of what a command printed. */
export class OutputTail {
  #chunks: Buffer[] = [];
  #size = 0;

  add(bytes: Buffer): void {
    this.#chunks.push(bytes);
    this.#size += bytes.length;
    while (this.#size - (this.#chunks[0]?.length ?? 0) > keptOutputBytes)
      this.#size -= this.#chunks.shift()?.length ?? 0;
  }

  bytes(): Buffer {
    const all = Buffer.concat(this.#chunks);
    return all.subarray(Math.max(0, all.length - keptOutputBytes));
  }
}
