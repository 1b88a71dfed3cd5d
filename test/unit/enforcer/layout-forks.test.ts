import assert from "node:assert/strict";
import fc from "fast-check";
import { layout } from "../../../operator/enforcer/layout/layout.ts";
import { DEFAULT_OPTIONS } from "../../../operator/enforcer/layout/options.ts";
import type { ChainName } from "../../../operator/enforcer/layout/rule.ts";
import { DROP_CHAIN } from "../../../operator/enforcer/layout/skeleton.ts";
import type { StateDraft } from "../../packets/enforcer-state.ts";
import { nodeState } from "../../packets/enforcer-state.ts";

describe("the way from a packet to the lines of a pod", () => {
  it("has at most 16 branches and 64 buckets, wherever the addresses are", () => {
    const addresses = fc.uniqueArray(fc.ipV4(), { minLength: 1, maxLength: 90 });
    fc.assert(fc.property(addresses, (list) => {
      const { chains } = layout(nodeState(at(list)), "ipv4");
      const rulesOf = (name: string) => chains.get(name as ChainName) ?? [];
      assert.ok(rulesOf("TW-FWD").length <= 64);
      assert.ok(rulesOf("TW-I").length <= 16);
      const branches = [...chains].filter(([name]) => name.startsWith("TW-I-B-"));
      const buckets = [...chains].filter(([name]) => name.startsWith("TW-I-") && !name.startsWith("TW-I-B-"));
      assert.ok(buckets.length <= 64);
      assert.equal(buckets.flatMap(([, rules]) => rules).length, list.length);
      // Each is led to from one place.
      const led = [...rulesOf("TW-I"), ...branches.flatMap(([, rules]) => rules)].map(({ target }) => target);
      assert.deepEqual(
        led.flatMap((target) => (target.kind === "goto" ? [target.chain] : [])).toSorted(),
        [...branches, ...buckets].map(([name]) => name).toSorted(),
      );
    }));
  });

  it("compares a packet of a dense node with 20 prefixes and addresses at most", () => {
    for (const count of [30, 64, 65, 110, 250]) {
      const addresses = Array.from({ length: count }, (_, index) => `10.1.0.${index}`);
      const { chains } = layout(nodeState(at(addresses)), "ipv4");
      const longest = (name: ChainName): number => {
        const rules = chains.get(name) ?? [];
        const next = rules.flatMap(({ target }) => (target.kind === "goto" && target.chain.startsWith("TW-I") ? [target.chain] : []));
        return rules.length + Math.max(0, ...next.map(longest));
      };
      assert.ok(longest("TW-I" as ChainName) <= 20, `${count} pods: ${longest("TW-I" as ChainName)}`);
    }
  });

  it("never looks for pods by a network of 24 bits, which iptables-nft makes slow", () => {
    const near = fc.integer({ min: 0, max: 0xffff }).map((host) => `10.1.${host >> 8}.${host & 0xff}`);
    const addresses = fc.uniqueArray(near, { minLength: 1, maxLength: 60 });
    fc.assert(fc.property(addresses, fc.subarray(["10.1.7.0/24"]), (list, closedNets) => {
      const { chains } = layout(nodeState(at(list)), "ipv4", { ...DEFAULT_OPTIONS, closedNets });
      const forks = [...chains].filter(([name]) => name === "TW-FWD" || name.startsWith("TW-I"));
      for (const { matches, target } of forks.flatMap(([, rules]) => rules)) {
        // What a node has closed is compared exactly, when all the pods have been.
        if (target.kind === "goto" && target.chain === DROP_CHAIN) continue;
        for (const match of matches) if ("net" in match) assert.doesNotMatch(match.net, /\/24$/);
      }
    }));
  });
});

/** One pod at each address, all isolated. */
function at(addresses: readonly string[]): StateDraft {
  const pods = addresses.map((address, index) => [`p${index}`, { address, ingress: ["p"] }] as const);
  return { pods: Object.fromEntries(pods), policies: { p: {} } };
}
