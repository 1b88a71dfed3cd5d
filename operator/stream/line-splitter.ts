/**
 * Longest line of a stream, in bytes, without its end. Policies are kept below it by `resolve/policy-size.ts`; a pod's
 * line names every policy that selects it.
 */
export const MAX_LINE_BYTES = 4 * 1024 * 1024;

const LINE_END = 0x0a;

/** Cuts chunks of bytes into lines. Keeps at most one unfinished line, and that within a bound. */
export class LineSplitter {
  readonly #maxBytes: number;
  readonly #decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
  #rest: Uint8Array[] = [];
  #restBytes = 0;

  constructor(maxBytes = MAX_LINE_BYTES) {
    this.#maxBytes = maxBytes;
  }

  /** The lines that this chunk completes. @throws Error for a line that is too long or not UTF-8 */
  push(chunk: Uint8Array): readonly string[] {
    const lines: string[] = [];
    let start = 0;
    for (let end = chunk.indexOf(LINE_END); end !== -1; end = chunk.indexOf(LINE_END, start)) {
      this.#keep(chunk.subarray(start, end));
      lines.push(this.#decode());
      start = end + 1;
    }
    if (start < chunk.length) this.#keep(chunk.subarray(start));
    return lines;
  }

  #keep(bytes: Uint8Array): void {
    this.#rest.push(bytes);
    this.#restBytes += bytes.length;
    if (this.#restBytes > this.#maxBytes) throw new Error(`a line is longer than ${this.#maxBytes} bytes`);
  }

  #decode(): string {
    const bytes = this.#rest.length === 1 ? this.#rest[0] : Buffer.concat(this.#rest, this.#restBytes);
    this.#rest = [];
    this.#restBytes = 0;
    try {
      return this.#decoder.decode(bytes);
    } catch (cause) {
      throw new Error("a line is not UTF-8", { cause });
    }
  }
}
