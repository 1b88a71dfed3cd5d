import assert from "node:assert/strict";
import { verdict, type Judgement } from "../../../operator/analyze/verdict.ts";
import type { ClusterDraft, Host, NodeHost } from "../../cases/case.ts";
import { readCluster } from "../../cases/evaluation.ts";
import { hostBlocks } from "../../cases/ip-block.ts";
import { egressOf, generated, ingressOf, only } from "../../cases/policies.ts";
import { rawCluster } from "../../cases/raw-cluster.ts";
import { plan } from "./plan.ts";

const PLAN = plan(["ipv4", "ipv6"]);
const NOBODY = { from: [{ podSelector: { matchLabels: { tier: "none" } } }] };
const OPEN = { kind: "open", why: "not isolated" } as const;

/** From host to host, TCP 80, and what each side gives as its reason. */
const REASONS: readonly (readonly [string, ClusterDraft, Host, Host, Judgement, Judgement])[] = [
  ["nothing isolates", { policies: {} }, "b", "a", OPEN, OPEN],
  ["the world has no policies", { policies: {} }, "wan", "a", { kind: "open", why: "no pod" }, OPEN],
  ["from a pod to itself", { policies: { "shop/p": ingressOf("a", []) } }, "a", "a",
    { kind: "open", why: "itself" }, { kind: "open", why: "itself" }],
  ["from a node to its pod", { policies: { "shop/p": ingressOf("a", []) } }, "left", "a",
    { kind: "open", why: "no pod" }, { kind: "open", why: "own node" }],
  ["from a pod to its node", { policies: { "shop/p": egressOf("a", []) } }, "a", "left",
    { kind: "open", why: "own node" }, { kind: "open", why: "no pod" }],
  ["from a pod to its node, which is judged", { nodeTraffic: "Enforce", policies: { "shop/p": egressOf("a", []) } },
    "a", "left", { kind: "denied", pod: "shop/a", isolatedBy: ["shop/p"] }, { kind: "open", why: "no pod" }],
  ["denied by all that select the pod for the direction, sorted", {
    policies: { "shop/z": ingressOf("a", [NOBODY]), "shop/y": ingressOf("a", []), "shop/x": egressOf("a", []) },
  }, "b", "a", OPEN, { kind: "denied", pod: "shop/a", isolatedBy: ["shop/y", "shop/z"] }],
  ["denied by both sides", { policies: { "other/p": egressOf("c", []), "shop/p": ingressOf("a", []) } }, "c", "a",
    { kind: "denied", pod: "other/c", isolatedBy: ["other/p"] },
    { kind: "denied", pod: "shop/a", isolatedBy: ["shop/p"] }],
  ["allowed by the third rule, its second peer and second port", {
    policies: {
      "shop/p": ingressOf("a", []),
      "shop/q": ingressOf("a", [
        NOBODY,
        { from: [{ podSelector: {} }], ports: [{ port: 81 }] },
        { from: [...NOBODY.from, { podSelector: only("b") }], ports: [{ port: 81 }, { port: 80 }] },
      ]),
    },
  }, "b", "a", OPEN, { kind: "allowed", pod: "shop/a", policy: "shop/q", rule: 2, peer: 1, port: 1 }],
  ["allowed by a rule for anybody: no peer, no port", { policies: { "shop/p": egressOf("d", [{}]) } }, "d", "wan",
    { kind: "allowed", pod: "shop/d", policy: "shop/p", rule: 0 }, { kind: "open", why: "no pod" }],
  ["allowed by the block of its family", {
    policies: { "shop/p": ingressOf("a", [{ from: hostBlocks(PLAN, "wan") }]) },
  }, "wan", "a", { kind: "open", why: "no pod" },
  { kind: "allowed", pod: "shop/a", policy: "shop/p", rule: 0, peer: 0 }],
  ["denied by what was generated and by what was not", {
    enforce: "Segments", policies: { "shop/p": generated(ingressOf("a", [])), "shop/q": ingressOf("a", []) },
  }, "b", "a", OPEN, { kind: "denied", pod: "shop/a", isolatedBy: ["shop/p", "shop/q"] }],
];

describe("the evaluator's reasons", () => {
  for (const [name, draft, from, to, egress, ingress] of REASONS) {
    it(name, () => {
      const judged = verdict(readCluster(rawCluster(draft, PLAN), PLAN), {
        source: PLAN.address(from, "ipv4"), destination: PLAN.address(to, "ipv4"), protocol: "TCP", port: 80,
      });
      const allowed = egress.kind !== "denied" && ingress.kind !== "denied";
      assert.deepEqual(judged, { allowed, egress, ingress });
    });
  }

  it("refuses what cannot be a packet", () => {
    const cluster = readCluster(rawCluster({ policies: {} }, PLAN), PLAN);
    const between = (source: string, destination: string) => () => (
      verdict(cluster, { source, destination, protocol: "ICMP" })
    );
    assert.throws(between("nonsense", "10.1.1.2"), RangeError);
    assert.throws(between("10.1.1.2", "10.1.1.2/32"), RangeError);
    assert.throws(between("10.1.1.2", "fd00::1"), RangeError);
  });
});

describe("an address that several pods claim", () => {
  const twin = (node: NodeHost, deleting: boolean, name = "twin"): ClusterDraft => ({
    ghosts: {
      [name]: { node, labels: { tier: "twin" }, deleting, addresses: () => [PLAN.address("a", "ipv4")] },
    },
    policies: {
      "shop/p": {
        spec: { podSelector: { matchLabels: { tier: "twin" } }, policyTypes: ["Ingress"], ingress: [NOBODY] },
      },
    },
  });
  const ask = (draft: ClusterDraft, from: Host) => verdict(readCluster(rawCluster(draft, PLAN), PLAN), {
    source: PLAN.address(from, "ipv4"), destination: PLAN.address("a", "ipv4"), protocol: "TCP", port: 80,
  }).allowed;

  it("on two nodes with equal right: each is isolated on its own, so both have to allow", () => {
    assert.deepEqual([ask(twin("right", false), "b"), ask(twin("right", false), "d")], [false, false]);
  });

  it("on two nodes, one of them ending: it counts on its own node, for what passes there", () => {
    assert.deepEqual([ask(twin("right", true), "b"), ask(twin("right", true), "d")], [true, false]);
  });

  it("on one node with equal right: the first uid is isolated", () => {
    assert.deepEqual([ask(twin("left", false, "zz"), "b"), ask(twin("left", false, "Z"), "b")], [true, false]);
  });

  it("one of them finished: it claims nothing, whatever its status still says", () => {
    const cluster = readCluster(rawCluster(twin("left", false, "Z"), PLAN), PLAN);
    const pods = cluster.pods.map((pod) => ({ ...pod, finished: pod.name === "Z" }));
    const packet = {
      source: PLAN.address("b", "ipv4"), destination: PLAN.address("a", "ipv4"), protocol: "TCP", port: 80,
    } as const;
    assert.equal(verdict(cluster, packet).allowed, false);
    assert.equal(verdict({ ...cluster, pods }, packet).allowed, true);
  });
});
