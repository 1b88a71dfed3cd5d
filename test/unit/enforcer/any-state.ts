import fc from "fast-check";
import type {
  GenerationMark, LocalPod, NodeState, PeerSet, PeerSetId, PodUid, PolicyId, ResolvedPeers, ResolvedPolicy,
  PodAudit, ResolvedRule,
} from "../../../operator/api/node-state.ts";
import { anyCharacter } from "../any-character.ts";

const ADDRESSES = ["10.1.0.1", "10.1.0.2", "192.0.2.7", "fd00::1", "fd00::2"] as const;
const SETS = ["x", "y"].map((id) => id as PeerSetId);
const ENDPOINTS = ["e"].map((id) => id as PeerSetId);
const POLICIES = ["shop/p", "shop/q"].map((id) => id as PolicyId);

/** Names as users and attackers choose them, with what ends a line or a text in some tool. */
const name = fc.string({ unit: anyCharacter, maxLength: 12 });
/** Objects like those of the parser. */
function record<T>(model: { readonly [K in keyof T]: fc.Arbitrary<T[K]> }): fc.Arbitrary<T> {
  return fc.record(model, { noNullPrototype: true });
}

const protocol = fc.constantFrom("TCP" as const, "UDP" as const, "SCTP" as const);
const port = fc.integer({ min: 1, max: 65_535 });
const ports = fc.oneof(
  fc.constant("any" as const),
  fc.array(fc.oneof(
    record({ protocol, port }),
    record({ protocol, port: fc.constant(80), endPort: fc.integer({ min: 80, max: 65_535 }) }),
    record({ protocol, name }),
    record({ protocol }),
  ), { maxLength: 3 }),
);
const block = fc.oneof(
  fc.constantFrom({ cidr: "0.0.0.0/0" }, { cidr: "fd00::/8" }),
  record({ cidr: fc.constant("10.0.0.0/8"), except: fc.subarray(["10.1.0.0/16", "10.2.0.0/16"]) }),
);
const peers: fc.Arbitrary<ResolvedPeers> = fc.oneof(
  fc.constant("any" as const),
  record({ sets: fc.subarray(SETS), blocks: fc.array(block, { maxLength: 2 }) }),
);
const rule: fc.Arbitrary<ResolvedRule> = record({ peers, ports, endpoints: fc.subarray(ENDPOINTS) });
const rules = fc.array(rule, { maxLength: 2 });

function policyOf(id: PolicyId): fc.Arbitrary<ResolvedPolicy> {
  return fc.record({ id: fc.constant(id), segment: name, ingress: rules, egress: rules }, {
    requiredKeys: ["id", "ingress", "egress"],
    noNullPrototype: true,
  });
}

const audit: fc.Arbitrary<PodAudit> = record({
  policy: name, tier: name, ingress: fc.subarray(POLICIES), egress: fc.subarray(POLICIES),
});
const pod: fc.Arbitrary<LocalPod> = fc.record({
  uid: name.map((uid) => uid as PodUid),
  namespace: name,
  name,
  addresses: fc.subarray([...ADDRESSES]),
  ports: fc.array(record({ name, protocol, port }), { maxLength: 2 }),
  ingress: fc.subarray(POLICIES),
  egress: fc.subarray(POLICIES),
  audits: fc.array(audit, { maxLength: 2 }),
}, { requiredKeys: ["uid", "namespace", "name", "addresses", "ports", "ingress", "egress"], noNullPrototype: true });
const mark: fc.Arbitrary<GenerationMark> = record({ generation: fc.nat(), revision: name });

function setOf(kind: PeerSet["kind"], member: fc.Arbitrary<string>, maxLength: number): fc.Arbitrary<PeerSet> {
  return fc.uniqueArray(member, { maxLength }).map((members) => ({ kind, members: new Set(members) }));
}

// More members than one message holds.
const address = fc.nat(0xffffff).map((n) => `10.${n >> 16}.${(n >> 8) & 255}.${n & 255}`);
const endpoint = fc
  .tuple(address, fc.constantFrom("tcp", "udp", "sctp"), port)
  .map(([at, proto, number]) => `${at},${proto}:${number}`);
const sets = fc.tuple(setOf("address", address, 2_500), setOf("address", address, 3), setOf("endpoint", endpoint, 5));

/** Any state that is free of contradictions. */
export const anyState: fc.Arbitrary<NodeState> = fc
  .record({
    policies: fc.tuple(...POLICIES.map(policyOf)),
    pods: fc.array(pod, { maxLength: 4 }),
    sets,
    generations: fc.uniqueArray(fc.tuple(name, mark), { maxLength: 3, selector: ([key]) => key }),
  })
  .map(({ policies, pods, sets: members, generations }) => ({
    policies: new Map(policies.map((policy) => [policy.id, policy])),
    pods: new Map(pods.map((each) => [each.uid, each])),
    peers: new Map([...SETS, ...ENDPOINTS].flatMap((id, index) => {
      const set = members[index];
      return set === undefined ? [] : [[id, set] as const];
    })),
    generations: new Map(generations),
  }));
