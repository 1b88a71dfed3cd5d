import assert from "node:assert/strict";
import { layout } from "../../../operator/enforcer/layout/layout.ts";
import type { PolicyDraft, StateDraft } from "../../packets/enforcer-state.ts";
import { nodeState } from "../../packets/enforcer-state.ts";

describe("how many rules there are", () => {
  /** `pods` pods, each isolated both ways by two policies of its own kind, of which there are `kinds`. */
  function node(pods: number, kinds: number, strangers: number): StateDraft {
    const kind = (index: number) => [`a${index % kinds}`, `b${index % kinds}`];
    const rules = (direction: "ingress" | "egress", index: number): PolicyDraft => ({
      [direction]: [
        { peers: ["x"], ports: [{ protocol: "TCP", port: 1000 + index }] },
        { peers: [{ cidr: "192.0.2.0/24" }, { cidr: "198.51.100.0/24", except: ["198.51.100.0/28"] }] },
      ],
    });
    const policies = record(kinds, (index) => [`a${index}`, rules("ingress", index)] as const);
    const more = record(kinds, (index) => [`b${index}`, rules("egress", index)] as const);
    const others = record(strangers, (index) => [`other${index}`, rules("ingress", index)] as const);
    const list = record(pods, (index) => {
      return [`p${index}`, { address: `10.1.0.${index}`, ingress: kind(index), egress: kind(index) }] as const;
    });
    return { pods: list, policies: { ...policies, ...more, ...others }, peers: { x: ["10.2.0.1"] } };
  }

  const sizes: readonly (readonly [number, number, number])[] = [[1, 1, 0], [30, 7, 200], [110, 20, 1_000], [250, 200, 5_000]];
  for (const [pods, kinds, strangers] of sizes) {
    it(`follows from ${pods} pods and ${kinds} classes, not from ${strangers} policies elsewhere`, () => {
      const { chains, sets } = layout(nodeState(node(pods, kinds, strangers)), "ipv4");
      const count = chains.values().reduce((sum, rules) => sum + rules.length, 0);
      // Of 8 addresses each, and forked to in two steps where they are more than 8.
      const buckets = Math.ceil(pods / 8);
      const branches = buckets > 8 ? Math.ceil(buckets / 4) : 0;
      const used = Math.min(pods, kinds);
      // Of each class: one line for a port, two for blocks, the drop.
      const skeleton = 4 + 4 + 3 + 1;
      // Of each pod: a leaf in each direction.
      assert.equal(count, skeleton + 2 * (branches + buckets) + pods * 2 + used * 2 * 4);
      // One union of peers for all, and one set for the block with an exception.
      assert.equal(sets.size, 2);
    });
  }
});

function record<Value>(count: number, entry: (index: number) => readonly [string, Value]): Record<string, Value> {
  return Object.fromEntries(Array.from({ length: count }, (_, index) => entry(index)));
}
