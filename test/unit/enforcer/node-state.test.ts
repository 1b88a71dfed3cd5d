import assert from "node:assert/strict";
import { addressChangedOwner } from "../../../operator/enforcer/node-state.ts";
import { nodeState } from "../../packets/enforcer-state.ts";

describe("addressChangedOwner", () => {
  const pod = (uid: string, address: string) => nodeState({ pods: { a: { address, uid } } });
  const cases: readonly (readonly [string, ReturnType<typeof pod>, ReturnType<typeof pod>, boolean])[] = [
    ["the same pod", pod("1", "10.1.0.1"), pod("1", "10.1.0.1"), false],
    ["another pod elsewhere", pod("1", "10.1.0.1"), pod("2", "10.1.0.2"), false],
    ["another pod at the address", pod("1", "10.1.0.1"), pod("2", "10.1.0.1"), true],
  ];
  for (const [name, before, after, expected] of cases) {
    it(`${name}: ${expected}`, () => assert.equal(addressChangedOwner(before, after), expected));
  }
});
