import assert from "node:assert/strict";

import { isLabelKey } from "../../../operator/api/label-syntax.ts";

describe("a label's key", () => {
  /** A domain of so many characters, an odd number. */
  const domain = (length: number) => `${"a.".repeat((length - 1) / 2)}a`;
  const cases: readonly { name: string; key: string; taken: boolean }[] = [
    { name: "has a name of up to 63 characters", key: "x".repeat(63), taken: true },
    { name: "and no more", key: "x".repeat(64), taken: false },
    { name: "has a prefix of up to 253", key: `${domain(253)}/${"x".repeat(63)}`, taken: true },
    { name: "and no more, however short the name", key: `${domain(255)}/x`, taken: false },
    { name: "has one prefix at most", key: "a/b/c", taken: false },
    { name: "has a name behind the prefix", key: "a/", taken: false },
  ];
  for (const { name, key, taken } of cases) it(name, () => assert.equal(isLabelKey(key), taken));
});
