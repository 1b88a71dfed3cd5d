import fc from "fast-check";

import type { LabelSelector } from "../../../operator/api/label-selector.ts";
import type { Direction } from "../../../operator/api/network-policy.ts";
import type { SegmentPolicySpec, Tier, TierPeer, TierPort, TierRule } from "../../../operator/api/segment-policy.ts";
import type { NamedPort, Namespace, Pod } from "../../../operator/api/workload.ts";
import type { Probe, World } from "./intent.ts";

/** Small on purpose: with few names and values, rules and pods meet often. */
const TIERS = ["web", "app", "db"] as const;
const QUARANTINE = "example.com/cut";
const EXCLUDED = ["kube-system", "tierwall-system"];

const label = (key: string, values: readonly string[]) =>
  fc.oneof({ weight: 1, arbitrary: fc.constant({}) }, { weight: 4, arbitrary: fc.constantFrom(...values).map((value) => ({ [key]: value })) });

const selector = (key: string, values: readonly string[]): fc.Arbitrary<LabelSelector> => fc.oneof(
  { weight: 3, arbitrary: fc.constantFrom(...values).map((value) => ({ matchLabels: { [key]: value } })) },
  fc.constant({}),
  fc.tuple(fc.constantFrom("In" as const, "NotIn" as const), fc.subarray([...values], { minLength: 1 }))
    .map(([operator, listed]) => ({ matchExpressions: [{ key, operator, values: listed }] })),
  fc.constantFrom("Exists" as const, "DoesNotExist" as const).map((operator) => ({ matchExpressions: [{ key, operator }] })),
);
const namespaceSelector = fc.oneof(selector("zone", ["a", "b"]), selector("kubernetes.io/metadata.name", ["one", "two"]));

const ports: fc.Arbitrary<TierRule["ports"]> = fc.oneof(
  { weight: 1, arbitrary: fc.constant("any" as const) },
  { weight: 3, arbitrary: fc.array(fc.oneof(
    fc.record({ protocol: fc.constantFrom("TCP" as const, "UDP" as const), port: fc.constantFrom<(number | string)[]>(80, 443, "http") }),
    fc.constant<TierPort>({ protocol: "TCP", port: 80, endPort: 90 }),
  ), { minLength: 1, maxLength: 3 }) },
);

const block = fc.constantFrom<TierPeer[]>(
  { kind: "ipBlock", ipBlock: { cidr: "10.0.0.0/8", except: ["10.1.0.0/16"] } },
  { kind: "ipBlock", ipBlock: { cidr: "10.1.0.0/31" } },
  { kind: "ipBlock", ipBlock: { cidr: "198.51.100.0/24", except: ["198.51.100.9/32", "198.51.100.128/25"] } },
);
const tierPeer = fc.constantFrom(...TIERS).map((tier): TierPeer => ({ kind: "tier", tier }));
const podsPeer = fc.record({ podSelector: selector("app", ["x", "y"]), namespaceSelector }, { requiredKeys: [] })
  .filter((peer) => Object.keys(peer).length > 0).map((peer): TierPeer => ({ kind: "pods", ...peer }));
const nodesPeer = selector("role", ["edge", "core"]).map((named): TierPeer => ({ kind: "nodes", selector: named }));
const ingressPeer = fc.oneof({ weight: 4, arbitrary: tierPeer }, { weight: 2, arbitrary: podsPeer }, block, nodesPeer);
const egressPeer = fc.oneof({ weight: 6, arbitrary: ingressPeer }, fc.constant<TierPeer>({ kind: "kubeAPIServer" }));

const rules = (peer: fc.Arbitrary<TierPeer>): fc.Arbitrary<readonly TierRule[]> => fc.array(fc.record({
  peers: fc.oneof(
    { weight: 8, arbitrary: fc.array(peer, { minLength: 1, maxLength: 3 }) },
    { weight: 1, arbitrary: fc.constant<TierPeer[]>([{ kind: "anywhere" }]) },
  ),
  ports,
}), { maxLength: 2 });

const tier = (name: string): fc.Arbitrary<Tier> => fc.record({
  name: fc.constant(name),
  podSelector: fc.oneof({ weight: 3, arbitrary: fc.constant<LabelSelector>({ matchLabels: { tier: name } }) }, selector("app", ["x", "y"])),
  namespaceSelector,
  ingress: rules(ingressPeer),
  egress: rules(egressPeer),
}, { requiredKeys: ["name", "podSelector", "ingress", "egress"] });

/** Any spec that the parser would accept. Undeclared tiers are declared without rules. */
export const specs: fc.Arbitrary<SegmentPolicySpec> = fc.record({
  namespaceSelector: fc.constantFrom<LabelSelector[]>(
    { matchLabels: { s: "shop" } }, { matchLabels: { s: "shop" }, matchExpressions: [{ key: "zone", operator: "Exists" }] },
    { matchLabels: { zone: "a" } },
  ),
  boundary: fc.constantFrom("Namespace" as const, "Segment" as const),
  policyTypes: fc.constantFrom<(readonly Direction[])[]>(["Ingress", "Egress"], ["Ingress", "Egress"], ["Ingress"], ["Egress"]),
  defaultDeny: fc.constantFrom("AllPods" as const, "TierPods" as const),
  dns: fc.constantFrom("Allow" as const, "Deny" as const),
  quarantine: fc.constantFrom(undefined, { key: QUARANTINE, value: undefined }, { key: QUARANTINE, value: "yes" }),
  mode: fc.constant("Enforce" as const),
  suspend: fc.constant(false),
  tiers: fc.tuple(...TIERS.map(tier)),
}).map(({ tiers, ...spec }) => ({
  ...spec,
  tiers: tiers.map(({ namespaceSelector: home, ...each }): Tier => ({
    ...each,
    ...(spec.boundary === "Segment" && home !== undefined && { namespaceSelector: home }),
    ingress: spec.policyTypes.includes("Ingress") ? each.ingress : [],
    egress: spec.policyTypes.includes("Egress") ? each.egress : [],
  })),
}));

const namespace = (name: string): fc.Arbitrary<Namespace> => fc.tuple(label("s", ["shop", "shop", "other"]), label("zone", ["a", "b"]))
  .map(([segment, zone]) => ({
    name, uid: name, labels: { "kubernetes.io/metadata.name": name, ...segment, ...zone }, terminating: false,
  }));

const http = (port: number): NamedPort => ({ name: "http", protocol: "TCP", port });
const pod = fc.record({
  namespace: fc.constantFrom("one", "one", "two", "two", "three", "kube-system"),
  labels: fc.tuple(
    label("tier", TIERS), label("app", ["x", "y"]), fc.constantFrom({}, {}, {}, { [QUARANTINE]: "yes" }, { [QUARANTINE]: "no" }),
    fc.constantFrom({}, { "k8s-app": "kube-dns" }),
  ).map((maps): Record<string, string> => Object.assign({}, ...maps)),
  hostNetwork: fc.constantFrom(false, false, false, false, false, true),
  finished: fc.constantFrom(false, false, false, false, false, true),
  ports: fc.constantFrom<NamedPort[][]>([], [http(80)], [http(8080)]),
});

export const worlds: fc.Arbitrary<World> = fc.record({
  namespaces: fc.tuple(...["one", "two", "three", "kube-system"].map(namespace)),
  pods: fc.array(pod, { minLength: 3, maxLength: 7 }),
}).map(({ namespaces, pods }) => ({
  namespaces,
  pods: pods.map((each, index): Pod => ({
    ...each, name: `p${index}`, uid: `u${index}`, nodeName: `n${index}`, deleting: false, addresses: [`10.1.0.${index}`],
  })),
  excludedNamespaces: EXCLUDED,
  dns: {
    peers: [
      { podSelector: { matchLabels: { "k8s-app": "kube-dns" } }, namespaceSelector: { matchLabels: { "kubernetes.io/metadata.name": "kube-system" } } },
      { ipBlock: { cidr: "10.96.0.10/32" } },
    ],
    ports: [53],
  },
  apiServer: { addresses: ["192.168.0.1"], ports: [{ protocol: "TCP", port: 6443 }] },
  nodes: [
    { labels: { role: "edge" }, addresses: ["192.168.0.8", "192.168.0.9"] },
    { labels: { role: "core" }, addresses: ["192.168.0.10", "192.168.0.12"] },
  ],
}));

const OUTSIDE = [
  "10.96.0.10", "192.168.0.1", "192.168.0.8", "192.168.0.9", "192.168.0.10", "192.168.0.11", "192.168.0.12", "10.2.3.4",
  "198.51.100.1", "198.51.100.9",
];
const SHOTS: readonly Pick<Probe, "protocol" | "port">[] = [
  { protocol: "TCP", port: 80 }, { protocol: "TCP", port: 90 }, { protocol: "TCP", port: 443 }, { protocol: "UDP", port: 443 },
  { protocol: "TCP", port: 8080 }, { protocol: "TCP", port: 6443 }, { protocol: "UDP", port: 53 }, { protocol: "ICMP" },
];

/** Every connection that may be asked about: between pods, and to and from addresses that are none. */
export function probesOf({ pods }: World): readonly Probe[] {
  const inside = pods.flatMap(({ addresses }) => addresses);
  const pairs = [
    ...inside.flatMap((source) => [...inside, ...OUTSIDE].map((destination) => ({ source, destination }))),
    ...OUTSIDE.flatMap((source) => inside.map((destination) => ({ source, destination }))),
  ];
  return pairs.flatMap((pair) => SHOTS.map((shot) => ({ ...pair, ...shot })));
}
