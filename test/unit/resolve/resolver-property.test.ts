import assert from "node:assert/strict";
import fc from "fast-check";
import type { NodeState } from "../../../operator/api/node-state.ts";
import { Resolver } from "../../../operator/resolve/resolver.ts";
import { apply, namespace, NOTHING, plain, pod, policy } from "./cluster.ts";
import { runs } from "../runs.ts";

const NODES = ["n1", "n2"];
const oneOf = <T>(...items: readonly T[]) => fc.constantFrom(...items);
const name = oneOf("a", "b");
const labels = oneOf<Record<string, string>>({}, { tier: "web" }, { tier: "db" }, { tier: "db", q: "1" });
const selector = oneOf<object>(
  {}, { matchLabels: { tier: "web" } }, { matchExpressions: [{ key: "tier", operator: "In", values: ["db", "web"] }] },
  { matchExpressions: [{ key: "q", operator: "DoesNotExist" }] },
    { matchExpressions: [{ key: "q", operator: "Exists" }] },
);
const namespaceSelector = oneOf<object>({}, { matchLabels: { env: "x" } },
  { matchExpressions: [{ key: "env", operator: "DoesNotExist" }] });
const peer = fc.oneof(
  fc.record({ podSelector: selector }),
  fc.record({ podSelector: selector, namespaceSelector }),
  oneOf({ ipBlock: { cidr: "10.0.0.0/30", except: ["10.0.0.1/32"] } }),
);
const rule = (side: string) => fc.record({
  [side]: fc.array(peer, { maxLength: 2 }),
  ports: oneOf<readonly object[]>([], [{ port: 80 }], [{ port: "http" }], [{ port: "http" }, { protocol: "UDP" }]),
});
const spec = fc.record({
  podSelector: selector,
  policyTypes: oneOf(["Ingress"], ["Egress"], ["Ingress", "Egress"]),
  ingress: fc.array(rule("from"), { maxLength: 2 }),
  egress: fc.array(rule("to"), { maxLength: 2 }),
});
const anyPolicy = fc.tuple(name, name, spec, oneOf(undefined, "s",
  "t")).map(([space, n, body, segment]) => policy(`${space}/${n}`, body, segment));
const anyPod = fc.record({
  space: name, n: name, node: oneOf("", ...NODES), labels, deleting: fc.boolean(), finished: oneOf(false, false, true),
  hostNetwork: oneOf(false, false, false, true), uid: oneOf("1", "2"), number: oneOf(80, 8080),
  addresses: fc.subarray(["10.0.0.1", "10.0.0.2", "10.0.0.3", "fd00::1", "nonsense"], { maxLength: 2 }),
}).map(({ space, n, node, labels: set, addresses, uid, number, ...rest }) => pod(`${space}/${n}`, node, addresses,
  set, {
  ...rest, uid: `${space}-${n}-${uid}`, ports: [{ name: "http", protocol: "TCP", port: number }],
}));

/** What one SegmentPolicy in mode Audit would write: distinct names. */
const audit = (segment: string) => fc.uniqueArray(
  fc.tuple(name, name, spec, oneOf(undefined, "web", "db")), { maxLength: 3, selector: ([space, n]) => `${space}/${n}` },
).map((parts) => parts.map(([space, n, body, tier]) => policy(`${space}/${segment}-${n}`, body, segment, tier)));

/** The object an event is about, and what is done; `undefined` as the action means that it is gone. */
interface Step {
  readonly key: string;
  readonly set?: (resolver: Resolver) => void;
  readonly unset: (resolver: Resolver) => void;
}

const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 4, arbitrary: fc.tuple(anyPod, oneOf(true, true, false)).map(([it, present]) => ({
    key: `pod ${it.namespace}/${it.name}`,
    ...(present && { set: (r: Resolver) => r.setPod(it) }), unset: (r: Resolver) => r.deletePod(it.namespace, it.name),
  })) },
  { weight: 3, arbitrary: fc.tuple(anyPolicy, oneOf(true, true, false)).map(([it, present]) => ({
    key: `policy ${it.metadata.namespace}/${it.metadata.name}`,
    ...(present && { set: (r: Resolver) => r.setNetworkPolicy(it) }),
    unset: (r: Resolver) => r.deleteNetworkPolicy(it.metadata.namespace, it.metadata.name),
  })) },
  fc.tuple(name, oneOf<Record<string, string>>({}, { env: "x" }),
    oneOf(true, true, false)).map(([n, set, present]) => ({
    key: `namespace ${n}`,
    ...(present && { set: (r: Resolver) => r.setNamespace(namespace(n, set)) }),
      unset: (r: Resolver) => r.deleteNamespace(n),
  })),
  fc.tuple(oneOf("s", "t"), oneOf(undefined, 1, 2)).map(([n, generation]) => ({
    key: `generation ${n}`, set: (r: Resolver) => r.setGeneration(n, generation),
      unset: (r: Resolver) => r.setGeneration(n, undefined),
  })),
  { weight: 2, arbitrary: oneOf("s", "t").chain((n) => audit(n).map((parts) => ({
    key: `audit ${n}`, set: (r: Resolver) => r.setAudit(n, parts), unset: (r: Resolver) => r.setAudit(n, []),
  }))) },
  fc.tuple(oneOf("s", "t"), fc.boolean()).map(([n, retired]) => ({
    key: `retired ${n}`, set: (r: Resolver) => r.setRetired(n, retired), unset: (r: Resolver) => r.setRetired(n, false),
  })),
);

describe("Resolver, whatever happens", () => {
  for (const enforce of ["All", "Segments"] as const) {
    it(`${enforce}: deltas add up to the state, and the state is that of the last objects in any order`, () => {
      fc.assert(fc.property(fc.array(fc.tuple(step, fc.boolean()), { maxLength: 60, size: "max" }),
        fc.infiniteStream(fc.nat()), (steps, dice) => {
        const resolver = new Resolver({ enforce });
        const followed = new Map<string, NodeState>(NODES.map((node) => [node, NOTHING]));
        const last = new Map<string, Step>();
        const follow = () => {
          for (const [node, delta] of resolver.takeChanges()) followed.set(node,
            apply(followed.get(node) ?? NOTHING, delta));
          for (const node of NODES) assert.deepEqual(plain(followed.get(node) ?? NOTHING),
            plain(resolver.nodeState(node)));
        };
        for (const [event, take] of steps) {
          (event.set ?? event.unset)(resolver);
          last.set(event.key, event);
          if (take) follow();
        }
        follow();
        const fresh = new Resolver({ enforce });
        const shuffled = [...last.values()].map((event) => [dice.next().value ?? 0, event] as const).toSorted(([a],
          [b]) => a - b);
        for (const [, event] of shuffled) event.set?.(fresh);
        fresh.takeChanges();
        for (const node of NODES) assert.deepEqual(plain(resolver.nodeState(node)), plain(fresh.nodeState(node)));
        assert.deepEqual(resolver.problems(), fresh.problems());
        assert.equal(resolver.takeChanges().size, 0);
      }), { numRuns: runs(300) });
    });
  }
});
