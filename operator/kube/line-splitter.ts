import { StringDecoder } from "node:string_decoder";

/** Cuts a byte stream into lines; characters and lines may be spread over chunks. */
export class LineSplitter {
  readonly #decoder = new StringDecoder("utf8");
  #rest: string[] = [];

  /** @returns the lines that this chunk completes, without their ends, empty ones left out. */
  push(chunk: Buffer): readonly string[] {
    const [first = "", ...others] = this.#decoder.write(chunk).split("\n");
    // A very long line comes in many chunks: joined once, not copied at each.
    this.#rest.push(first);
    const last = others.pop();
    if (last === undefined) return [];
    const lines = [this.#rest.join(""), ...others];
    this.#rest = [last];
    return lines.filter((line) => line !== "");
  }
}
