import assert from "node:assert/strict";
import { waitAfter } from "../../../operator/timing/backoff.ts";

describe("backoff", () => {
  const backoff = { firstMs: 100, mostMs: 30_000 };
  const cases = [
    { failures: 1, random: 0, waitMs: 100 },
    { failures: 2, random: 0, waitMs: 200 },
    { failures: 4, random: 0, waitMs: 800 },
    { failures: 9, random: 0, waitMs: 25_600 },
    { failures: 10, random: 0, waitMs: 30_000 },
    { failures: 100_000, random: 0, waitMs: 30_000 },
    { failures: 2, random: 0.5, waitMs: 150 },
    { failures: 10, random: 0.75, waitMs: 18_750 },
  ];
  for (const { failures, random, waitMs } of cases) {
    it(`failure ${failures} with a random ${random} waits ${waitMs} ms`, () => {
      assert.equal(waitAfter(failures, backoff, () => random), waitMs);
    });
  }
});
