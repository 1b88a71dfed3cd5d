import assert from "node:assert/strict";

import fc from "fast-check";

import { selects, type LabelRequirement, type LabelSelector } from "../../../operator/api/label-selector.ts";
import { mayOverlap } from "../../../operator/compile/overlap.ts";
import { runs } from "../runs.ts";

const values = fc.subarray(["x", "y"], { minLength: 1 });
const requirement: fc.Arbitrary<LabelRequirement> = fc.tuple(
  fc.constantFrom("a", "b"), fc.constantFrom("In" as const, "NotIn" as const, "Exists" as const, "DoesNotExist" as const), values,
).map(([key, operator, listed]) => (operator === "In" || operator === "NotIn" ? { key, operator, values: listed } : { key, operator }));
const selector: fc.Arbitrary<LabelSelector> = fc.record({
  matchLabels: fc.dictionary(fc.constantFrom("a", "b"), fc.constantFrom("x", "y")), matchExpressions: fc.array(requirement, { maxLength: 3 }),
});

describe("selectors that may share pods", () => {
  it("are those that some labels satisfy both of", () => {
    // "z" stands for every value that no selector names.
    const choices = [undefined, "x", "y", "z"];
    const labels = choices.flatMap((a) => choices.map((b) => ({ ...(a !== undefined && { a }), ...(b !== undefined && { b }) })));
    fc.assert(fc.property(selector, selector, (one, other) => {
      assert.equal(mayOverlap(one, other), labels.some((each) => selects(one, each) && selects(other, each)));
    }), { numRuns: runs(2_000) });
  });
});
