import assert from "node:assert/strict";

import { settleConditions } from "../../../operator/api/condition.ts";

/** What crds/*.yaml allow a condition's message. */
const LONGEST = 32_768;

describe("a condition's message", () => {
  const cases: readonly { name: string; message: string; settled: string }[] = [
    { name: "stays as it is up to what the schema takes", message: "x".repeat(LONGEST), settled: "x".repeat(LONGEST) },
    { name: "is cut above that, and says so", message: "x".repeat(40_000), settled: `${"x".repeat(LONGEST - 1)}…` },
    { name: "is cut before a character of two units, not in it", message: `${"x".repeat(LONGEST - 2)}😀y`, settled: `${"x".repeat(LONGEST - 2)}…` },
    { name: "is cut after a character of two units", message: `${"x".repeat(LONGEST - 3)}😀yz`, settled: `${"x".repeat(LONGEST - 3)}😀…` },
  ];
  for (const { name, message, settled } of cases) {
    it(name, () => {
      const [condition] = settleConditions([{ type: "Ready", status: "False", reason: "WriteFailed", message }], [], 1, "2026-01-01T00:00:00Z");
      assert.ok(condition?.message === settled, `${condition?.message.length} characters, the last ${JSON.stringify(condition?.message.slice(-3))}`);
      assert.ok(condition.message.isWellFormed());
    });
  }
});
