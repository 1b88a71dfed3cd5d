import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { BUGS } from "../../fuzz/bugs.ts";

describe("the seeded bugs", () => {
  for (const { name, file, find, replace } of BUGS) {
    it(`can be made: ${name}`, () => {
      const text = readFileSync(new URL(`../../../operator/${file}`, import.meta.url), "utf8");
      assert.equal(text.split(find).length - 1, 1, `places in operator/${file}`);
      assert.notEqual(text.replace(find, () => replace), text);
    });
  }

  it("are 20 at least, each with a name of its own", () => {
    assert.ok(BUGS.length >= 20);
    assert.equal(new Set(BUGS.map(({ name }) => name)).size, BUGS.length);
  });
});
