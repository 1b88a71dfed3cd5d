import { BlockList, isIPv6 } from "node:net";
import fc from "fast-check";
import { ADDRESSES, HOSTS } from "../packets/bed/address-plan.ts";

const oneOf = <T>(...items: readonly T[]): fc.Arbitrary<T> => fc.constantFrom(...items);

const podSelector = fc.oneof(
  { weight: 2, arbitrary: oneOf<object>({}) },
  { weight: 5, arbitrary: oneOf("web", "db", "job").map((tier) => ({ matchLabels: { tier } })) },
  { weight: 3, arbitrary: oneOf<object>(
    { matchExpressions: [{ key: "tier", operator: "In", values: ["db", "web"] }] },
    { matchExpressions: [{ key: "q", operator: "NotIn", values: ["1"] }] },
    { matchExpressions: [{ key: "q", operator: "DoesNotExist" }] },
    { matchLabels: { tier: "web" }, matchExpressions: [{ key: "q", operator: "Exists" }] },
    { matchLabels: { tier: "nobody" } },
  ) },
);
const namespaceSelector = oneOf<object>(
  {}, { matchLabels: { env: "prod" } }, { matchExpressions: [{ key: "env", operator: "In", values: ["dev"] }] },
  { matchExpressions: [{ key: "team", operator: "DoesNotExist" }] },
  { matchLabels: { "kubernetes.io/metadata.name": "other" } },
);

const addresses = HOSTS.flatMap((host) => Object.values(ADDRESSES[host]));
/** Some with bits set beyond their width, as users write them. */
const blocks = addresses.flatMap((address) => {
  const widths = isIPv6(address) ? [0, 1, 32, 64, 126, 127, 128] : [0, 1, 8, 16, 24, 30, 31, 32];
  return widths.map((width) => ({ address, width, cidr: `${address}/${width}` }));
});

/** Those that people write most: two rules with one of these are no rare case. */
const common: readonly (readonly [string, number])[] = [
  ["0.0.0.0", 0], ["::", 0], ["10.101.0.0", 16], ["fd00:10:101::", 48], ["10.0.0.0", 8],
];
const block = fc.oneof(
  { weight: 2, arbitrary: oneOf(...blocks) },
  { weight: 1, arbitrary: oneOf(...common).map(([address, width]) => (
    { address, width, cidr: `${address}/${width}` }
  )) },
);

const ipBlock = fc.tuple(block, fc.array(oneOf(...blocks), { maxLength: 12 })).map(([{ address: base, width: bits, cidr }, candidates]) => {
  const family = isIPv6(base) ? "ipv6" : "ipv4";
  const inside = new BlockList();
  inside.addSubnet(base, bits, family);
  const except = candidates.filter(({ address, width }) => (
    isIPv6(address) === (family === "ipv6") && width > bits && inside.check(address, family)
  ));
  return { cidr, ...(except.length > 0 && { except: except.slice(0, 3).map((hole) => hole.cidr) }) };
});

const peer = fc.oneof(
  { weight: 3, arbitrary: fc.record({ podSelector }) },
  { weight: 4, arbitrary: fc.record({ namespaceSelector }) },
  { weight: 2, arbitrary: fc.record({ podSelector, namespaceSelector }) },
  { weight: 5, arbitrary: fc.record({ ipBlock }) },
);

const range = fc.tuple(oneOf(1, 80, 81, 82, 5000), oneOf(80, 81, 5432, 65535))
  .filter(([from, to]) => from <= to).map(([port, endPort]) => ({ port, endPort }));
const port = fc.oneof(
  { weight: 5, arbitrary: oneOf<object>(
    { port: 80 }, { port: 81 }, { port: 5432, protocol: "TCP" }, { port: 53, protocol: "UDP" },
    { port: 80, protocol: "SCTP" }) },
  // Names that pods have for that protocol, have for another, and do not have.
  { weight: 9, arbitrary: oneOf(
    ["http", "TCP"], ["http", "TCP"], ["http", "UDP"], ["sql", "TCP"], ["dns", "UDP"], ["dns", "SCTP"], ["dns", "TCP"],
    ["none", "TCP"],
  ).map(([name, protocol]) => ({ port: name, protocol })) },
  { weight: 2, arbitrary: range },
  { weight: 1, arbitrary: oneOf<object>({ protocol: "TCP" }, { protocol: "UDP" }, { protocol: "SCTP" }, {}) },
);
/** Whom a policy is about: often many, so that two policies meet on one pod. */
const subject = fc.oneof({ weight: 1, arbitrary: oneOf<object>({}) }, { weight: 1, arbitrary: podSelector });
/** More of one rule than one multiport match takes. */
const manyPorts = oneOf(Array.from({ length: 20 }, (_, index) => ({ port: 71 + index })));

/** Mostly something: what is absent or empty allows everything, and then nothing else in the policy matters. */
function mostly<T>(weight: number, list: fc.Arbitrary<readonly T[]>): fc.Arbitrary<readonly T[] | undefined> {
  return fc.oneof({ weight: 1, arbitrary: oneOf(undefined, []) }, { weight, arbitrary: list });
}

/** `some` peers and ports at most of each; few allow little, so that one mistake is not covered by another rule. */
const rule = (side: "from" | "to", some: number): fc.Arbitrary<object> => fc.record({
  peers: mostly(3, fc.array(peer, { minLength: 1, maxLength: some })),
  ports: mostly(9, fc.oneof(
    { weight: 9, arbitrary: fc.array(port, { minLength: 1, maxLength: some }) }, { weight: 1, arbitrary: manyPorts },
  )),
}).map(({ peers, ports }) => ({ ...(peers && { [side]: peers }), ...(ports && { ports }) }));

const broadSpec = fc.record({
  podSelector: subject,
  policyTypes: oneOf<readonly string[]>(["Ingress"], ["Egress"], ["Ingress", "Egress"]),
  ingress: fc.array(rule("from", 3), { maxLength: 2 }),
  egress: fc.array(rule("to", 3), { maxLength: 2 }),
}, { requiredKeys: ["podSelector"], noNullPrototype: true });

const oneRule = { minLength: 1, maxLength: 1 };
const narrowSpec = fc.oneof(
  fc.record({
    podSelector: subject, policyTypes: oneOf(["Ingress"]), ingress: fc.array(rule("from", 1), oneRule),
  }),
  fc.record({ podSelector: subject, policyTypes: oneOf(["Egress"]), egress: fc.array(rule("to", 1), oneRule) }),
);

export const MOST_POLICIES = 6;

export interface AnyPolicy {
  /** `<namespace>/<name>` */
  readonly id: string;
  readonly object: object;
}

/** NetworkPolicies as the API server sends them; of some the managers say that Tierwall wrote them. */
export function networkPolicies(namespaces: readonly string[]): fc.Arbitrary<readonly AnyPolicy[]> {
  const policies = (spec: fc.Arbitrary<object>, most: number): fc.Arbitrary<readonly AnyPolicy[]> => {
    const policy = fc.record({
      namespace: oneOf(...namespaces), name: oneOf("p1", "p2", "p3", "p4"), spec,
      author: oneOf("user", "tierwall", "tierwall", "impostor"),
    }).map(anyPolicy);
    return fc.uniqueArray(policy, { minLength: 2, maxLength: most, size: "max", selector: ({ id }) => id });
  };
  return fc.oneof(
    { weight: 3, arbitrary: policies(narrowSpec, 4) }, { weight: 1, arbitrary: policies(broadSpec, MOST_POLICIES) },
  );
}

interface PolicyDraft {
  readonly namespace: string;
  readonly name: string;
  readonly spec: object;
  readonly author: string;
}

function anyPolicy({ namespace, name, spec, author }: PolicyDraft): AnyPolicy {
  return {
    id: `${namespace}/${name}`,
    object: {
      metadata: {
        namespace, name, uid: `uid-${namespace}-${name}`,
        ...(author !== "user" && { labels: { "tierwall.io/policy": "segment" } }),
        managedFields: [{ manager: author === "tierwall" ? "tierwall" : "kubectl", operation: "Apply" }],
      },
      spec,
    },
  };
}
