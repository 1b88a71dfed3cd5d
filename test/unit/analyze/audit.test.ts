import assert from "node:assert/strict";
import fc from "fast-check";
import { auditorOf, type WouldDrop } from "../../../operator/analyze/audit.ts";
import type { Cluster } from "../../../operator/analyze/cluster.ts";
import type { Packet } from "../../../operator/analyze/packet.ts";
import type { Surroundings } from "../../../operator/analyze/segment-intent.ts";
import { judgeOf } from "../../../operator/analyze/verdict.ts";
import { readNetworkPolicy } from "../../../operator/api/network-policy-parser.ts";
import type { NetworkPolicy } from "../../../operator/api/network-policy.ts";
import type { SegmentPolicySpec } from "../../../operator/api/segment-policy.ts";
import type { Pod } from "../../../operator/api/workload.ts";
import { mergeAddresses, networkText } from "../../../operator/compile/address-blocks.ts";
import { compile } from "../../../operator/compile/compile.ts";
import { segmentNamespaces } from "../../../operator/compile/segment-namespaces.ts";
import { wouldBe } from "../../../operator/compile/would-be.ts";
import { factsOf } from "../compile/against-intent.ts";
import type { World } from "../compile/intent.ts";
import { specOf } from "../compile/specs.ts";
import { probesOf, specs, worlds } from "../compile/worlds.ts";
import { runs } from "../runs.ts";

const SURROUNDINGS: Surroundings = {
  excludedNamespaces: ["kube-system"],
  dns: { peers: [{ ipBlock: { cidr: "10.96.0.10/32" } }], ports: [53] },
  apiServer: { addresses: ["192.168.0.1"], ports: [{ protocol: "TCP", port: 6443 }] },
  nodes: [{ labels: {}, addresses: ["192.168.0.8"] }],
};
const SHOP = `
namespaceSelector: {matchLabels: {s: shop}}
mode: Audit
tiers:
- {name: web, egress: [{to: [{kubeAPIServer: {}}]}]}
- {name: db, ingress: [{from: [{tier: web}], ports: [{port: 5432}]}]}`;

const place = { namespace: "one", hostNetwork: false, finished: false, deleting: false, ports: [] };
const pod = (name: string, index: number, nodeName: string, labels: Pod["labels"]): Pod =>
  ({ ...place, name, uid: name, nodeName, labels, addresses: [`10.1.0.${index}`] });
const PODS = [
  pod("web", 1, "left", { tier: "web" }), pod("db", 2, "left", { tier: "db" }), pod("job", 3, "left", {}),
  pod("far", 4, "right", { tier: "web" }), pod("both", 5, "right", { tier: "web", app: "x" }),
  { ...pod("abroad", 6, "right", { tier: "web" }), namespace: "two" },
];
const ADDRESSES: Readonly<Record<string, string>> = {
  ...Object.fromEntries(PODS.map(({ name, addresses: [address = ""] }) => [name, address])),
  world: "198.51.100.1", left: "192.168.0.8", dns: "10.96.0.10", api: "192.168.0.1",
};
const policy = (name: string, spec: object, segment?: string): NetworkPolicy => readNetworkPolicy({
  metadata: {
    namespace: "one", name,
    ...(segment && { labels: { "tierwall.io/policy": segment }, managedFields: [{ manager: "tierwall" }] }),
  },
  spec,
});
const ON_DB = { podSelector: { matchLabels: { tier: "db" } }, policyTypes: ["Ingress"] };

interface Case {
  readonly name: string;
  readonly from: string;
  readonly to: string;
  readonly port?: number;
  readonly spec?: string;
  readonly policies?: readonly NetworkPolicy[];
  /** `<policy>/<tier> <direction> of <pod>` */
  readonly counted: readonly string[];
}

const CASES: readonly Case[] = [
  { name: "what a rule and its mirror allow", from: "web", to: "db", counted: [] },
  { name: "what neither end allows, at both", from: "db", to: "web",
    counted: ["shop/db Egress of one/db", "shop/web Ingress of one/web"] },
  { name: "a pod of no tier, for none", from: "job", to: "world", counted: ["shop/ Egress of one/job"] },
  { name: "a pod of several tiers, for the first", from: "world", to: "both",
    spec: `${SHOP}\n- {name: cache, podSelector: {matchLabels: {app: x}}}`,
    counted: ["shop/cache Ingress of one/both"] },
  { name: "DNS is allowed", from: "job", to: "dns", port: 53, counted: [] },
  { name: "the API server on its own port", from: "web", to: "api", port: 6443, counted: [] },
  { name: "and on no other", from: "web", to: "api", port: 443, counted: ["shop/web Egress of one/web"] },
  { name: "a pod to itself", from: "db", to: "db", counted: [] },
  { name: "a node to its pod", from: "left", to: "db", counted: [] },
  { name: "a pod to its node", from: "db", to: "left", counted: [] },
  { name: "a user's policy that isolates nobody now allows as well", from: "world", to: "db",
    policies: [policy("user", { ...ON_DB, ingress: [{}] })], counted: [] },
  { name: "but not for another direction", from: "db", to: "world",
    policies: [policy("user", { ...ON_DB, ingress: [{}] })], counted: ["shop/db Egress of one/db"] },
  { name: "what is dropped on the node is not asked", from: "job", to: "db",
    policies: [policy("other", ON_DB, "other")], counted: [] },
  { name: "what another node drops is asked on the way", from: "both", to: "db", port: 80,
    policies: [policy("other", ON_DB, "other")], counted: ["shop/web Egress of one/both"] },
  { name: "a direction that is not the segment's", from: "job", to: "db",
    spec: `${SHOP.replace("egress: [{to: [{kubeAPIServer: {}}]}]", "ingress: []")}\npolicyTypes: [Ingress]`,
    counted: ["shop/db Ingress of one/db"] },
  { name: "pods of no tier, which the segment leaves alone", from: "job", to: "world",
    spec: `${SHOP}\ndefaultDeny: TierPods`, counted: [] },
  { name: "each namespace is a segment of its own", from: "abroad", to: "db",
    counted: ["shop/web Egress of two/abroad", "shop/db Ingress of one/db"] },
  { name: "unless all are one", from: "abroad", to: "db", spec: `${SHOP}\nboundary: Segment`, counted: [] },
  { name: "quarantine is not applied", from: "web", to: "db", spec: `${SHOP}\nquarantineLabel: tier`, counted: [] },
];

describe("what an audit counts", () => {
  const told = ({ policy: name, tier, direction, pod: at }: WouldDrop) => `${name}/${tier} ${direction} of ${at}`;
  for (const { name, from, to, port = 5432, spec = SHOP, policies = [], counted } of CASES) {
    it(name, () => {
      const cluster: Cluster = {
        namespaces: ["one", "two"].map((it) => ({ name: it, uid: it, labels: { s: "shop" }, terminating: false })),
        pods: PODS, networkPolicies: policies, nodes: new Map([["left", ["192.168.0.8"]]]), enforce: "Segments",
        nodeTraffic: "Allow",
      };
      const packet: Packet = { source: ADDRESSES[from] ?? "", destination: ADDRESSES[to] ?? "", protocol: "TCP", port };
      const found = auditorOf(cluster, [{ name: "shop", spec: specOf(spec) }], SURROUNDINGS)(packet);
      assert.deepEqual(found.map(told), counted);
    });
  }

  it("is for each policy what enforcement would drop if it alone were added", () => {
    fc.assert(fc.property(scenes, ({ world, audited, networkPolicies, enforce }) => {
      const { namespaces, pods } = world;
      const cluster: Cluster = { namespaces, pods, networkPolicies, nodes: new Map(), enforce, nodeTraffic: "Enforce" };
      const added = audited.map(({ name, spec }) => {
        const policies = [...networkPolicies, ...generated(name, spec, world)];
        return { name, judge: judgeOf({ ...cluster, networkPolicies: policies }) };
      });
      const [judge, audit] = [judgeOf(cluster), auditorOf(cluster, audited, world)];
      const nodeOf = (address: string) => pods.find((each) => each.addresses.includes(address))?.nodeName;
      for (const packet of probesOf(world)) {
        const now = judge(packet);
        const local = nodeOf(packet.source) === nodeOf(packet.destination);
        const expected = added.flatMap(({ name, judge: judgeThen }) => {
          const then = judgeThen(packet);
          const egress = then.egress.kind === "denied" && (local ? now.allowed : now.egress.kind !== "denied");
          const ingress = then.ingress.kind === "denied" && now.allowed;
          return [...(egress ? [`${name} Egress`] : []), ...(ingress ? [`${name} Ingress`] : [])];
        });
        const found = audit(packet).map((each) => `${each.policy} ${each.direction}`);
        const same = String(found.toSorted()) === String(expected.toSorted());
        if (!same) assert.deepEqual(found.toSorted(), expected.toSorted(), JSON.stringify(packet));
      }
    }), { numRuns: runs(60) });
  });
});

function generated(name: string, spec: SegmentPolicySpec, world: World): readonly NetworkPolicy[] {
  const parts = compile(name, spec, factsOf({ mergeAddresses, networkText }, world));
  return wouldBe({ name }, parts, segmentNamespaces(spec, world.namespaces, new Set(world.excludedNamespaces)));
}

/** Two audits beside what another segment and users have written, on pods of two nodes. */
const scenes = fc.record({
  world: worlds,
  specs: fc.tuple(specs, specs, specs, specs),
  nodes: fc.array(fc.constantFrom("left", "right"), { minLength: 7, maxLength: 7 }),
  enforce: fc.constantFrom("All" as const, "Segments" as const),
}).map(({ world: drawn, specs: [first, second, live, own], nodes, enforce }) => {
  const pods = drawn.pods.map((each, index) => ({ ...each, nodeName: nodes[index] ?? "left" }));
  const world: World = { ...drawn, pods };
  const users = generated("user", own, world).slice(0, 3)
    .map((each): NetworkPolicy => ({ ...each, metadata: { ...each.metadata, managers: [] } }));
  const audited = [["a", first] as const, ["b", second] as const]
    .map(([name, spec]) => ({ name, spec: { ...spec, mode: "Audit" as const, quarantine: undefined } }));
  return { world, audited, enforce, networkPolicies: [...generated("live", live, world).slice(0, 2), ...users] };
});
