import fc from "fast-check";
import type { ClusterDraft, Host, PodDraft, PolicyDraft } from "../../cases/case.ts";
import type { Packet } from "../../../operator/analyze/packet.ts";
import { plan } from "./plan.ts";

export const PLAN = plan(["ipv4", "ipv6"]);

const value = fc.constantFrom("x", "y");
const labels = fc.dictionary(fc.constantFrom("app", "tier"), value, { maxKeys: 2 });
const requirement = fc.oneof(
  fc.record({
    key: fc.constantFrom("app", "tier"), operator: fc.constantFrom("In", "NotIn"),
    values: fc.subarray(["x", "y"], { minLength: 1 }),
  }),
  fc.record({ key: fc.constantFrom("app", "tier"), operator: fc.constantFrom("Exists", "DoesNotExist") }),
);
const selector = fc.oneof(
  { weight: 2, arbitrary: fc.constant({}) },
  { weight: 2, arbitrary: fc.record({ matchLabels: labels }) },
  { weight: 1, arbitrary: fc.record({ matchExpressions: fc.array(requirement, { maxLength: 2 }) }) },
);
const network = fc.constantFrom(
  "0.0.0.0/0", "10.1.0.0/16", "10.1.1.0/24", "10.1.1.3/30", "10.1.2.2/32", "172.20.0.0/24", "203.0.113.9/32",
  "::/0", "fd00:1::/32", "fd00:1:2::/48", "fd00:1:1::3/128", "2001:db8::/32",
);
const peer = fc.oneof(
  fc.record({ podSelector: selector }),
  fc.record({ namespaceSelector: selector }),
  fc.record({ podSelector: selector, namespaceSelector: selector }),
  fc.record({ ipBlock: fc.record({ cidr: network, except: fc.array(network, { maxLength: 2 }) }) }),
);
const protocol = fc.constantFrom("TCP", "UDP", "SCTP");
const numbered = fc.oneof(
  fc.record({ port: fc.constantFrom(80, 81) }),
  fc.record({ protocol, port: fc.constantFrom(53, 80) }),
  fc.record({ protocol, port: fc.constant(80), endPort: fc.constantFrom(80, 81) }),
  fc.record({ protocol }),
);
const named = fc.record({ protocol, port: fc.constantFrom("http", "dns") });

/** `from` or `to`: rules of one direction. */
const rule = (side: "from" | "to", port: fc.Arbitrary<object>) => fc.record(
  { [side]: fc.array(peer, { maxLength: 3 }), ports: fc.array(port, { maxLength: 3 }) },
  { requiredKeys: [] },
);

/** A policy as users write it. `names`: with named ports. */
export const policyDraft = (names = true): fc.Arbitrary<PolicyDraft> => {
  const port = names ? fc.oneof(numbered, named) : numbered;
  return fc.record({
    generated: fc.boolean(),
    spec: fc.record({
      podSelector: selector,
      policyTypes: fc.constantFrom(["Ingress"], ["Egress"], ["Ingress", "Egress"]),
      ingress: fc.array(rule("from", port), { maxLength: 3 }),
      egress: fc.array(rule("to", port), { maxLength: 3 }),
    }),
  });
};

const containerPort = fc.record({
  name: fc.constantFrom("http", "dns"), protocol, containerPort: fc.constantFrom(53, 80),
});
const pod: fc.Arbitrary<PodDraft> = fc.record({
  labels,
  namespace: fc.constantFrom("shop", "other"),
  deleting: fc.boolean(),
  spec: fc.record({
    hostNetwork: fc.constantFrom(false, false, false, true),
    containers: fc.array(fc.record({ name: fc.constant("main"), ports: fc.array(containerPort, { maxLength: 2 }) }), {
      maxLength: 1,
    }),
  }),
  status: fc.record({ phase: fc.constantFrom("Running", "Running", "Running", "Failed") }),
});

/** Clusters on the hosts of the test bed, one more pod that may claim an address of theirs, up to three policies. */
export const clusterDraft = (names = true): fc.Arbitrary<ClusterDraft> => fc.record({
  namespaces: fc.record({ shop: labels, other: labels }),
  pods: fc.record({ a: pod, b: pod, c: pod, d: pod, e: pod }),
  ghosts: fc.option(fc.tuple(pod, fc.constantFrom<Host>("a", "d")), { nil: undefined }).map((ghost) => {
    if (ghost === undefined) return {};
    const [draft, host] = ghost;
    return {
      ghost: {
        ...draft, node: host === "a" ? "left" as const : "right" as const,
        addresses: () => PLAN.families.map((family) => PLAN.address(host, family)),
      },
    };
  }),
  policies: fc.dictionary(fc.constantFrom("shop/p", "shop/q", "other/p", "shop/r"), policyDraft(names), { maxKeys: 3 }),
  enforce: fc.constantFrom("All", "All", "Segments"),
  nodeTraffic: fc.constantFrom("Allow", "Enforce"),
});

const HOSTS = ["a", "b", "c", "d", "e", "left", "right", "wan"] as const;
const SHOTS: readonly Omit<Packet, "source" | "destination">[] = [
  { protocol: "TCP", port: 80 }, { protocol: "TCP", port: 81 }, { protocol: "TCP", port: 53 },
  { protocol: "UDP", port: 53 }, { protocol: "SCTP", port: 80 }, { protocol: "ICMP" },
];

/** From every host to every other and itself, in both families. */
export const PACKETS: readonly Packet[] = PLAN.families.flatMap((family) => HOSTS.flatMap((from) => (
  HOSTS.flatMap((to) => SHOTS.map((shot) => (
    { source: PLAN.address(from, family), destination: PLAN.address(to, family), ...shot }
  )))
)));
