import assert from "node:assert/strict";
import fc from "fast-check";
import type { Members } from "../../../operator/api/member-set.ts";
import { changedMembers, changesBetween } from "../../../operator/api/member-set.ts";

const START = Array.from({ length: 300 }, (_, index) => `10.1.${index >> 8}.${index & 255}`);
const named = (index: number): string => START[index] ?? `10.9.0.${index}`;
const NOBODY: Members = new Set();
/** Each change toggles these. */
const CHANGES = fc.array(fc.array(fc.nat(330), { maxLength: 12 }), { maxLength: 12 });

function toggled(members: Members, names: readonly string[]): Members {
  const [gone, come] = [names.filter((name) => members.has(name)), names.filter((name) => !members.has(name))];
  return changedMembers(members, new Set(come), new Set(gone));
}

describe("a set of members", () => {
  for (const { what, start } of [{ what: "small", start: START.slice(0, 20) }, { what: "large", start: START }]) {
    it(`that is ${what} is after any changes what a plain set is, and so is every set that it was made of`, () => {
      fc.assert(fc.property(CHANGES, (changes) => {
        const sets: Members[] = [new Set(start)];
        const models = [new Set(start)];
        for (const indices of changes) {
          const names = [...new Set(indices.map(named))];
          sets.push(toggled(sets.at(-1) ?? NOBODY, names));
          models.push(models.at(-1)?.symmetricDifference(new Set(names)) ?? new Set());
        }
        for (const [index, model] of models.entries()) {
          const set = sets[index] ?? NOBODY;
          assert.deepEqual([...set].toSorted(), [...model].toSorted());
          assert.equal(set.size, model.size);
          assert.deepEqual([...START, named(310)].map((name) => set.has(name)), [...START, named(310)].map((name) => model.has(name)));
        }
      }));
    });

    it(`that is ${what} tells what makes it into any other one`, () => {
      fc.assert(fc.property(CHANGES, fc.nat(11), fc.nat(11), (changes, first, second) => {
        const sets: Members[] = [new Set(start)];
        for (const indices of changes) sets.push(toggled(sets.at(-1) ?? NOBODY, [...new Set(indices.map(named))]));
        const [from, to] = [sets[first % sets.length] ?? NOBODY, sets[second % sets.length] ?? NOBODY];
        const { added, removed } = changesBetween(from, to);
        assert.deepEqual(added.toSorted(), [...new Set(to).difference(new Set(from))].toSorted());
        assert.deepEqual(removed.toSorted(), [...new Set(from).difference(new Set(to))].toSorted());
      }));
    });
  }

  it("says nothing changed of what is the same under another object", () => {
    assert.deepEqual(changesBetween(new Set(START), new Set(START)), { added: [], removed: [] });
  });

  it("stays right over thousands of changes", () => {
    let members: Members = new Set(START);
    for (let index = 0; index < 5_000; index += 1) members = changedMembers(members, [`fd00::${index}`], []);
    assert.equal(members.size, 5_300);
    assert.ok(members.has("fd00::4999") && members.has(START[0] ?? ""));
  });
});
