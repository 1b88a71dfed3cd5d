import assert from "node:assert/strict";
import { DEFAULT_ENFORCER_SETTINGS } from "../../../operator/api/enforcer-settings.ts";
import type { LocalPod, NodeState, PodUid, PolicyId } from "../../../operator/api/node-state.ts";
import { policyId } from "../../../operator/resolve/policy-resolution.ts";
import { Resolver } from "../../../operator/resolve/resolver.ts";
import { BatchAssembler } from "../../../operator/stream/batch.ts";
import { messageLine, parseMessage } from "../../../operator/stream/codec.ts";
import { StreamHub } from "../../../operator/stream/hub.ts";
import { LineSplitter } from "../../../operator/stream/line-splitter.ts";
import { namespace, pod, policy } from "./cluster.ts";

const DB = pod("shop/db", "n1", ["10.0.0.1"], { tier: "db" });
const POLICY = policyId("shop", "p");

function blocks(count: number, except: readonly string[] = []): readonly object[] {
  return Array.from({ length: count }, (_, index) => {
    const cidr = `20.${index >> 8}.${index & 255}.0/24`;
    return { ipBlock: { cidr, ...(except.length > 0 && { except }) } };
  });
}

/** As long as they may be: so few of them fill a line. */
function longBlocks(count: number): readonly object[] {
  return Array.from({ length: count }, (_, index) => {
    return { ipBlock: { cidr: `2001:db8:aaaa:bbbb:cccc:dddd:eeee:${(index + 0x1000).toString(16)}/128` } };
  });
}

function ports(count: number): readonly object[] {
  return Array.from({ length: count }, (_, index) => ({ port: index + 1 }));
}

function resolved(spec: object): Resolver {
  const resolver = new Resolver({ enforce: "All" });
  resolver.setNamespace(namespace("shop"));
  resolver.setPod(DB);
  resolver.setNetworkPolicy(policy("shop/p", { podSelector: {}, ...spec }));
  resolver.takeChanges();
  return resolver;
}

/** What an enforcer makes of a state that an operator sends it, in the pieces in which a wire brings it. */
function received(state: NodeState): { readonly state: NodeState | undefined; readonly longest: number } {
  const [assembler, splitter] = [new BatchAssembler("n1"), new LineSplitter()];
  let [longest, whole]: [number, NodeState | undefined] = [0, undefined];
  const hub = new StreamHub({
    version: "1", settings: DEFAULT_ENFORCER_SETTINGS, state: () => state, monotonic: () => 0,
  });
  hub.publish(new Map(), { pods: "1" });
  hub.attach("n1", {
    write: (text) => {
      const bytes = Buffer.from(text);
      for (let start = 0; start < bytes.length; start += 16_384) {
        for (const line of splitter.push(bytes.subarray(start, start + 16_384))) {
          longest = Math.max(longest, line.length);
          const assembled = assembler.take(parseMessage(line));
          if (assembled !== undefined && "kind" in assembled) whole = assembled.state;
        }
      }
      return true;
    },
    end: () => undefined,
  });
  return { state: whole, longest };
}

describe("how large a NetworkPolicy may be", () => {
  it("as many blocks as fit go through hub and client in one line", () => {
    const resolver = resolved({ ingress: [{ from: longBlocks(17_500) }] });
    assert.deepEqual(resolver.problems(), []);
    const { state, longest } = received(resolver.nodeState("n1"));
    const peers = state?.policies.get(POLICY)?.ingress[0]?.peers;
    assert.equal(peers === undefined || peers === "any" ? 0 : peers.blocks.length, 17_500);
    assert.ok(longest > 900_000, `${longest}`);
  });

  const except = Array.from({ length: 60_000 }, (_, index) => `20.0.${index >> 8}.${index & 255}/32`);
  const manyNames = Array.from({ length: 400 }, (_, index) => ({ port: `p-${index}` }));
  const selectors = Array.from({ length: 400 }, (_, index) => ({ podSelector: { matchLabels: { app: `a-${index}` } } }));
  const CASES: readonly (readonly [string, object, RegExp])[] = [
    ["more blocks", { ingress: [{ from: longBlocks(22_000) }] }, /rules of 1\d{6} characters are more than the 1000000/],
    ["one block with as many exceptions", { ingress: [{ from: blocks(1, except) }] }, /60001 pairs .* more than the 50000/],
    ["few blocks for many ports", { ingress: [{ from: blocks(1_000), ports: ports(60) }] }, /60000 pairs/],
    ["many rules of that kind", { egress: Array.from({ length: 60 }, () => ({ to: blocks(100), ports: ports(10) })) }, /60000 pairs/],
    ["port names times selectors", { egress: [{ to: selectors, ports: manyNames }] }, /160000 pairs/],
  ];
  for (const [name, rules, says] of CASES) {
    it(`${name}: none of its rules counts, it isolates as before, and it is said by name and size`, () => {
      const resolver = resolved(rules);
      const { state } = received(resolver.nodeState("n1"));
      const direction = "ingress" in rules ? "ingress" : "egress";
      const told = state?.policies.get(POLICY);
      assert.deepEqual([told?.ingress.length, told?.egress.length], [0, 0]);
      assert.deepEqual(state?.pods.values().toArray().map((each) => each[direction]), [[POLICY]]);
      const [problem, ...more] = resolver.problems();
      assert.deepEqual([problem?.kind, problem?.object, more], ["NetworkPolicy", "shop/p", []]);
      assert.match(problem?.message ?? "", says);
      assert.equal(state?.peers.size, 0, "and nobody works out whom it names");
    });
  }

  it("counts again when it is cut down", () => {
    const resolver = resolved({ ingress: [{ from: blocks(1_000), ports: ports(60) }] });
    assert.equal(resolver.problems().length, 1);
    resolver.setNetworkPolicy(policy("shop/p", { podSelector: {}, ingress: [{ from: blocks(2) }] }));
    resolver.takeChanges();
    assert.deepEqual(resolver.problems(), []);
    assert.equal(resolver.nodeState("n1").policies.get(POLICY)?.ingress.length, 1);
  });

  it("a pod that thousands of policies with the longest of names select fits as well", () => {
    const ids = Array.from({ length: 3_000 }, (_, index) => {
      return `${"n".repeat(63)}/${"p".repeat(248)}${index + 10_000}` as PolicyId;
    });
    const uid = "u" as PodUid;
    const many: LocalPod = {
      uid, namespace: "shop", name: "db", addresses: ["10.0.0.1"], ports: [], ingress: ids, egress: ids,
    };
    const line = messageLine({ type: "pod", uid, pod: many });
    assert.ok(line.length > 1_800_000);
    assert.equal(new LineSplitter().push(Buffer.from(line)).length, 1);
  });
});
