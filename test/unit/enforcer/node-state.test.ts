import assert from "node:assert/strict";
import { Owners } from "../../../operator/enforcer/node-state.ts";
import { nodeState } from "../../packets/enforcer-state.ts";

describe("owners of addresses", () => {
  const pod = (uid: string, address: string) => nodeState({ pods: { a: { address, uid } } });
  type Case = readonly [string, ReturnType<typeof pod>, ReturnType<typeof pod>, readonly string[], readonly string[]];
  const cases: readonly Case[] = [
    ["the same pod", pod("1", "10.1.0.1"), pod("1", "10.1.0.1"), [], []],
    ["another pod elsewhere", pod("1", "10.1.0.1"), pod("2", "10.1.0.2"), [], ["10.1.0.1"]],
    ["another pod at the address", pod("1", "10.1.0.1"), pod("2", "10.1.0.1"), ["10.1.0.1"], []],
    ["the other family", pod("1", "fd00::1"), pod("2", "fd00::1"), [], []],
  ];
  for (const [name, before, after, moved, left] of cases) {
    it(name, () => {
      const changes = new Owners("ipv4").changes(before, after);
      assert.deepEqual([changes.moved, changes.left], [moved, left]);
    });
  }
});
