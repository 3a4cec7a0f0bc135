/** Big enough that hashing and writing cost by the byte, small enough to stay in a processor's cache between the two. */
const chunkBytes = 1024 * 1024;

/** Two buffers that are filled in turn: one can be written while the other is filled. */
export class ChunkBuffers {
  /** The one that is being filled. */
  buffer = Buffer.allocUnsafeSlow(chunkBytes);
  used = 0;
  #other = Buffer.allocUnsafeSlow(chunkBytes);

  get free(): number {
    return chunkBytes - this.used;
  }

  /** How many of the bytes from `at` on had room. */
  add(bytes: Buffer, at: number): number {
    const count = bytes.copy(this.buffer, this.used, at);
    this.used += count;
    return count;
  }

  /** The caller makes sure that there is room. */
  addZeros(count: number): void {
    this.buffer.fill(0, this.used, this.used + count);
    this.used += count;
  }

  /** What was filled; from now on the other buffer is. */
  turn(): Buffer {
    const full = this.buffer.subarray(0, this.used);
    [this.buffer, this.#other] = [this.#other, this.buffer];
    this.used = 0;
    return full;
  }
}
