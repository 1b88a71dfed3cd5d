import assert from "node:assert/strict";
import fc from "fast-check";
import { LineSplitter } from "../../../operator/kube/line-splitter.ts";
import { anyCharacter } from "../any-character.ts";

/** The lines that each chunk completes. */
function split(chunks: readonly Buffer[]): readonly (readonly string[])[] {
  const splitter = new LineSplitter();
  return chunks.map((chunk) => splitter.push(chunk));
}

describe("line splitter", () => {
  const cases: readonly { name: string; chunks: readonly string[]; lines: readonly (readonly string[])[] }[] = [
    { name: "one line", chunks: ["a\n"], lines: [["a"]] },
    { name: "several lines in a chunk", chunks: ["a\nb\nc\n"], lines: [["a", "b", "c"]] },
    { name: "a line over three chunks", chunks: ["a", "b", "c\nd\n"], lines: [[], [], ["abc", "d"]] },
    { name: "an end without a line end is kept back", chunks: ["a\nb"], lines: [["a"]] },
    { name: "empty lines are left out", chunks: ["\n\na\n", "\n"], lines: [["a"], []] },
  ];
  for (const { name, chunks, lines } of cases) {
    it(name, () => assert.deepEqual(split(chunks.map((chunk) => Buffer.from(chunk))), lines));
  }

  it("does not depend on where the bytes are cut, not even inside a character", () => {
    const line = fc.string({ unit: anyCharacter, minLength: 1 }).filter((text) => !text.includes("\n"));
    fc.assert(fc.property(fc.array(line), fc.array(fc.nat(50)), (lines, sizes) => {
      const bytes = Buffer.from(lines.map((text) => `${text}\n`).join(""));
      const chunks: Buffer[] = [];
      let from = 0;
      for (const size of sizes) {
        chunks.push(bytes.subarray(from, from + size));
        from += size;
      }
      chunks.push(bytes.subarray(from));
      assert.deepEqual(split(chunks).flat(), lines.map((text) => Buffer.from(text).toString()));
    }));
  });
});
