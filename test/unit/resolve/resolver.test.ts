import assert from "node:assert/strict";
import type { NetworkPolicy } from "../../../operator/api/network-policy.ts";
import type { PeerSetId, PodUid, ResolvedRule } from "../../../operator/api/node-state.ts";
import type { Namespace, Pod } from "../../../operator/api/workload.ts";
import { policyId } from "../../../operator/resolve/policy-resolution.ts";
import { Resolver } from "../../../operator/resolve/resolver.ts";
import { namespace, pod, policy } from "./cluster.ts";

const WEB = { podSelector: { matchLabels: { tier: "web" } } };
const SUBJECT = pod("shop/db", "n1", ["10.0.0.1"], { tier: "db" });
const HTTP = [{ name: "http", protocol: "TCP" as const, port: 8080 }];

interface World {
  readonly pods: readonly Pod[];
  readonly policies: readonly NetworkPolicy[];
  readonly namespaces?: readonly Namespace[];
  readonly enforce?: "Segments" | "All";
}

function resolve({ pods, policies, namespaces = [namespace("shop"), namespace("other", { env: "x" })],
  enforce = "All" }: World): Resolver {
  const resolver = new Resolver({ enforce });
  for (const each of namespaces) resolver.setNamespace(each);
  for (const each of pods) resolver.setPod(each);
  for (const each of policies) resolver.setNetworkPolicy(each);
  resolver.takeChanges();
  return resolver;
}

/** The only rule of policy `shop/p` on n1, with the members of its sets in place of their names. */
function ruleOn(resolver: Resolver, direction: "ingress" | "egress"): object {
  const state = resolver.nodeState("n1");
  const rule: ResolvedRule | undefined = state.policies.get(policyId("shop", "p"))?.[direction][0];
  const membersOf = (id: PeerSetId) => [...(state.peers.get(id)?.members ?? ["unknown set"])];
  const members = (ids: readonly PeerSetId[]) => ids.flatMap(membersOf).toSorted();
  if (rule === undefined) return {};
  const { peers, ports, endpoints } = rule;
  return { peers: peers === "any" ? "any" : [...members(peers.sets), ...peers.blocks], ports,
    endpoints: members(endpoints) };
}

const web = (id: string, address: string, rest: Partial<Pod> = {}) => pod(id, "n2", [address], { tier: "web" }, rest);
const TCP80 = [{ protocol: "TCP", port: 80 }];

/** What one rule allows, by the case of the semantics. */
const RULES: readonly (readonly [string, "ingress" | "egress", object, readonly Pod[], object])[] = [
  ["1 an empty rule allows everything", "ingress", {}, [], { peers: "any", ports: "any", endpoints: [] }],
  ["1 an empty from means anyone", "ingress", { from: [], ports: [{ port: 80 }] }, [],
    { peers: "any", ports: TCP80, endpoints: [] }],
  ["2 a podSelector alone stays in its namespace", "ingress", { from: [WEB] },
    [web("shop/w", "10.0.0.2"), web("other/w", "10.0.0.3")],
    { peers: ["10.0.0.2"], ports: "any", endpoints: [] }],
  ["2 a namespaceSelector alone means all its pods", "ingress",
    { from: [{ namespaceSelector: { matchLabels: { env: "x" } } }] },
    [web("shop/w", "10.0.0.2"), web("other/w", "10.0.0.3"), pod("other/x", "n2", ["10.0.0.4"], {})],
    { peers: ["10.0.0.3", "10.0.0.4"], ports: "any", endpoints: [] }],
  ["2 both selectors in one peer must hold", "ingress",
    { from: [{ ...WEB, namespaceSelector: { matchLabels: { env: "x" } } }] },
    [web("shop/w", "10.0.0.2"), web("other/w", "10.0.0.3"), pod("other/x", "n2", ["10.0.0.4"], {})],
    { peers: ["10.0.0.3"], ports: "any", endpoints: [] }],
  ["2 a namespace that is not known is not selected", "ingress", { from: [{ namespaceSelector: {} }] },
    [web("unseen/w", "10.0.0.9")],
    { peers: ["10.0.0.1"], ports: "any", endpoints: [] }],
  ["3 protocol, range and whole protocol", "ingress", { ports: [{ port: 1, endPort: 9 }, { protocol: "UDP" }] }, [],
    { peers: "any", ports: [{ protocol: "TCP", port: 1, endPort: 9 }, { protocol: "UDP" }], endpoints: [] }],
  ["4 a named port of ingress is left to each local pod", "ingress", { ports: [{ port: "http" }] }, [],
    { peers: "any", ports: [{ protocol: "TCP", name: "http" }], endpoints: [] }],
  ["5 a named port of egress is each destination's own", "egress", { to: [WEB], ports: [{ port: "http" }] },
    [web("shop/w", "10.0.0.2", { ports: HTTP }), web("shop/v", "10.0.0.3",
      { ports: [{ name: "http", protocol: "TCP", port: 81 }] }),
      web("shop/u", "10.0.0.4", { ports: [{ name: "http", protocol: "UDP", port: 82 }] }), web("shop/t", "10.0.0.5")],
    { peers: [], ports: [], endpoints: ["10.0.0.2,tcp:8080", "10.0.0.3,tcp:81"] }],
  ["5 with an ipBlock: pods inside it", "egress", { to: [{ ipBlock: { cidr: "10.0.0.0/29",
    except: ["10.0.0.4/32"] } }], ports: [{ port: "http" }] },
    [web("shop/w", "10.0.0.2", { ports: HTTP }), web("other/v", "10.0.0.4", { ports: HTTP }),
      web("other/u", "10.0.0.8", { ports: HTTP })],
    { peers: [], ports: [], endpoints: ["10.0.0.2,tcp:8080"] }],
  ["5 with no to: every pod that has the name", "egress", { ports: [{ port: "http" }, { port: 80 }] },
    [web("other/w", "10.0.0.2", { ports: HTTP })],
    { peers: "any", ports: TCP80, endpoints: ["10.0.0.2,tcp:8080"] }],
  ["6 blocks keep their own excepts", "ingress",
    { from: [{ ipBlock: { cidr: "10.0.0.0/8", except: ["10.1.0.0/16"] } }, { ipBlock: { cidr: "10.0.0.0/12" } }] }, [],
    { peers: [{ cidr: "10.0.0.0/12" }, { cidr: "10.0.0.0/8", except: ["10.1.0.0/16"] }], ports: "any", endpoints: [] }],
  ["7 /0 stays an ordinary block", "ingress", { from: [{ ipBlock: { cidr: "::/0" } }] }, [],
    { peers: [{ cidr: "::/0" }], ports: "any", endpoints: [] }],
  ["13 host network pods are no peers", "ingress", { from: [WEB] }, [web("shop/w", "10.9.0.2", { hostNetwork: true })],
    { peers: [], ports: "any", endpoints: [] }],
  ["14 finished pods are no peers, terminating ones are", "ingress", { from: [WEB] },
    [web("shop/w", "10.0.0.2", { finished: true }), web("shop/v", "10.0.0.3", { deleting: true })],
      { peers: ["10.0.0.3"], ports: "any", endpoints: [] }],
  ["20 both families of a pod", "ingress", { from: [WEB] }, [pod("shop/w", "n2", ["10.0.0.2", "fd00::2"],
    { tier: "web" })],
    { peers: ["10.0.0.2", "fd00::2"], ports: "any", endpoints: [] }],
  ["26 a block that cannot be read matches nothing, never everything", "ingress",
    { from: [{ ipBlock: { cidr: "10.0.0.0/33" } }] }, [],
    { peers: [], ports: "any", endpoints: [] }],
  ["an address that is none is left out", "ingress", { from: [WEB] },
    [pod("shop/w", "n2", ["10.0.0.256", "10.0.0.2"], { tier: "web" })],
    { peers: ["10.0.0.2"], ports: "any", endpoints: [] }],
  ["an address of two live pods is nobody's", "ingress", { from: [WEB] },
    [web("shop/w", "10.0.0.2"), web("shop/v", "10.0.0.2")],
    { peers: [], ports: "any", endpoints: [] }],
];

describe("Resolver: what a rule allows", () => {
  for (const [title, direction, rule, pods, expected] of RULES) {
    it(title, () => {
      const spec = { podSelector: { matchLabels: { tier: "db" } }, policyTypes: ["Ingress", "Egress"],
        [direction]: [rule] };
      assert.deepEqual(ruleOn(resolve({ pods: [SUBJECT, ...pods], policies: [policy("shop/p", spec)] }), direction),
        expected);
    });
  }
});

const ingress = policy("shop/i", { podSelector: {}, policyTypes: ["Ingress"] });
const egress = policy("shop/e", { podSelector: {}, policyTypes: ["Egress"] });
const generated = policy("shop/g", { podSelector: {}, policyTypes: ["Ingress"] }, "s");

/** By which policies shop/db is isolated, for ingress and for egress; `undefined` = the node does not know the pod. */
const ISOLATION: readonly (readonly [string, Partial<World>, readonly [string[], string[]] | undefined])[] = [
  ["no policy", { policies: [] }, [[], []]],
  ["each direction by its own policies", { policies: [ingress, egress] }, [["shop/i"], ["shop/e"]]],
  ["another namespace's policy", { policies: [policy("other/p", { podSelector: {} })] }, [[], []]],
  ["Segments: users' policies alone do not count", { policies: [ingress, egress], enforce: "Segments" }, [[], []]],
  ["Segments: beside a generated one they do, in its direction",
    { policies: [ingress, egress, generated], enforce: "Segments" }, [["shop/g", "shop/i"], []]],
  ["a label that only says so generates nothing", { enforce: "Segments", policies: [
    { ...ingress, metadata: { ...ingress.metadata, labels: { "tierwall.io/policy": "s" } } }] }, [[], []]],
  ["13 host network", { pods: [{ ...SUBJECT, hostNetwork: true }] }, undefined],
  ["14 finished", { pods: [{ ...SUBJECT, finished: true }] }, undefined],
  ["no address yet", { pods: [{ ...SUBJECT, addresses: [] }] }, undefined],
];

describe("Resolver: who is isolated", () => {
  for (const [title, world, expected] of ISOLATION) {
    it(title, () => {
      const local = resolve({ pods: [SUBJECT], policies: [ingress],
        ...world }).nodeState("n1").pods.get("db" as PodUid);
      assert.deepEqual(local && [local.ingress, local.egress], expected);
    });
  }
});

describe("Resolver: over time", () => {
  const allowWeb = policy("shop/p", { podSelector: { matchLabels: { tier: "db" } }, ingress: [{ from: [WEB] }] }, "s");
  const peersOn = (resolver: Resolver) => {
    resolver.takeChanges();
    return [...resolver.nodeState("n1").peers.values()].flatMap(({ members }) => [...members]);
  };

  it("15 a reused address is the new pod's, and stays so after the old one's late delete", () => {
    const resolver = resolve({ pods: [SUBJECT, web("shop/old", "10.0.0.2")], policies: [allowWeb] });
    resolver.setPod(web("shop/old", "10.0.0.2", { deleting: true }));
    resolver.setPod(pod("shop/new", "n2", ["10.0.0.2"], { tier: "cache" }));
    assert.deepEqual(peersOn(resolver), []);
    resolver.setPod(web("shop/new", "10.0.0.2", { uid: "new" }));
    assert.deepEqual(peersOn(resolver), ["10.0.0.2"]);
    resolver.deletePod("shop", "old", "old");
    assert.equal(resolver.takeChanges().size, 0);
    assert.deepEqual(peersOn(resolver), ["10.0.0.2"]);
  });

  it("says nothing of whom rules name that do not count", () => {
    const spec = { podSelector: { matchLabels: { tier: "db" } }, policyTypes: ["Egress"] };
    const named = policy("shop/p", { ...spec, ingress: [{ from: [WEB] }] });
    for (const policies of [[named], [policy("shop/p", spec), named]]) {
      assert.deepEqual(peersOn(resolve({ pods: [SUBJECT, web("shop/w", "10.0.0.2")], policies })), []);
    }
  });

  it("15 a late delete of a namesake does nothing", () => {
    const resolver = resolve({ pods: [SUBJECT, web("shop/w", "10.0.0.2", { uid: "second" })], policies: [allowWeb] });
    resolver.deletePod("shop", "w", "first");
    assert.deepEqual(peersOn(resolver), ["10.0.0.2"]);
  });

  it("tells only the nodes whose own pods need it, and nothing that was taken back", () => {
    const resolver = resolve({ pods: [SUBJECT, pod("shop/x", "n3", ["10.0.0.7"], {})], policies: [allowWeb] });
    resolver.setPod(web("shop/w", "10.0.0.2"));
    assert.deepEqual([...resolver.takeChanges().keys()].toSorted(), ["n1", "n2"]);
    resolver.deletePod("shop", "w");
    resolver.setPod(web("shop/w", "10.0.0.2"));
    assert.equal(resolver.takeChanges().size, 0);
  });

  it("a policy that goes with its terminating namespace counts until the last pod is gone", () => {
    const resolver = resolve({ pods: [SUBJECT], policies: [allowWeb] });
    resolver.setNamespace(namespace("shop", {}, { terminating: true }));
    resolver.deleteNetworkPolicy("shop", "p");
    resolver.takeChanges();
    assert.equal(resolver.nodeState("n1").policies.size, 1);
    resolver.setPod({ ...SUBJECT, finished: true });
    resolver.takeChanges();
    assert.equal(resolver.nodeState("n1").policies.size, 0);
    assert.equal(resolver.selectedPods("shop", "p"), 0);
  });

  it("a policy deleted in a living namespace is gone", () => {
    const resolver = resolve({ pods: [SUBJECT], policies: [allowWeb] });
    resolver.deleteNetworkPolicy("shop", "p");
    resolver.takeChanges();
    assert.equal(resolver.nodeState("n1").policies.size, 0);
  });

  it("26 a policy whose pod selector is not understood any more stays as it was, until it is again", () => {
    const resolver = resolve({ pods: [SUBJECT], policies: [allowWeb] });
    const before = ruleOn(resolver, "ingress");
    resolver.setNetworkPolicy(policy("shop/p", { podSelector: { matchCEL: "x" }, ingress: [{}] }, "s"));
    resolver.setPod(pod("shop/db-1", "n1", ["10.0.0.5"], { tier: "db" }));
    resolver.takeChanges();
    const isolatedBy = () => [...resolver.nodeState("n1").pods.values()].map(({ name, ingress: by }) => [name, by]);
    assert.deepEqual(isolatedBy(), [["db", ["shop/p"]], ["db-1", ["shop/p"]]]);
    assert.deepEqual(ruleOn(resolver, "ingress"), before, "not the rule that came with it");
    assert.match(resolver.problems()[0]?.message ?? "", /spec\.podSelector\.matchCEL/);
    resolver.setNetworkPolicy(policy("shop/p", { podSelector: { matchLabels: { tier: "none" } } }, "s"));
    resolver.takeChanges();
    assert.deepEqual(isolatedBy(), [["db", []], ["db-1", []]]);
    assert.deepEqual(resolver.problems(), []);
  });

  it("a retired segment is gone at once, whatever is set, and comes back", () => {
    const resolver = resolve({ pods: [SUBJECT], policies: [allowWeb, ingress] });
    resolver.setRetired("s", true);
    resolver.setNetworkPolicy(allowWeb);
    resolver.takeChanges();
    assert.deepEqual([...resolver.nodeState("n1").policies.keys()], ["shop/i"]);
    resolver.setRetired("s", false);
    resolver.takeChanges();
    assert.deepEqual([...resolver.nodeState("n1").policies.keys()].toSorted(), ["shop/i", "shop/p"]);
  });

  it("expects confirmations of the nodes with pods of the segment; the revision is of the rules, not the members",
    () => {
    const resolver = resolve({ pods: [SUBJECT, web("shop/w", "10.0.0.2")], policies: [allowWeb] });
    assert.equal(resolver.expectedConfirmations("s").size, 0);
    resolver.setGeneration("s", 1);
    resolver.takeChanges();
    const first = resolver.expectedConfirmations("s");
    assert.deepEqual([...first.keys()], ["n1"]);
    resolver.setPod(web("shop/v", "10.0.0.3"));
    resolver.takeChanges();
    assert.deepEqual(resolver.expectedConfirmations("s"), first);
    resolver.setNetworkPolicy(policy("shop/p", { podSelector: { matchLabels: { tier: "db" } }, ingress: [] }, "s"));
    resolver.takeChanges();
    assert.notEqual(resolver.expectedConfirmations("s").get("n1")?.revision, first.get("n1")?.revision);
    resolver.deletePod("shop", "db");
    assert.deepEqual(resolver.takeChanges().get("n1")?.generations, new Map([["s", undefined]]));
    assert.equal(resolver.expectedConfirmations("s").size, 0);
  });

  it("peers of equal meaning are one set for the cluster", () => {
    const everywhere = { podSelector: {}, ingress: [{ from: [{ namespaceSelector: { matchLabels: { env: "x" } } }] }] };
    const resolver = resolve({
      pods: [SUBJECT, pod("other/o", "n1", ["10.0.0.9"], {})],
      policies: [policy("shop/p", everywhere), policy("other/p", everywhere)],
    });
    assert.equal(resolver.nodeState("n1").peers.size, 1);
  });

  it("counts selected pods and names what was left out", () => {
    const resolver = resolve({
      pods: [SUBJECT, web("shop/w", "x.2"), web("shop/h", "10.9.0.1", { hostNetwork: true }),
        web("shop/v", "10.0.0.1")],
      policies: [ingress, policy("shop/u", { podSelector: {}, ingress: [{ from: [{ cloud: 1 }] }] })],
    });
    assert.equal(resolver.selectedPods("shop", "i"), 3);
    assert.deepEqual(resolver.problems().map(({ kind, object }) => `${kind} ${object}`),
      ["Pod shop/db", "NetworkPolicy shop/u", "Pod shop/v", "Pod shop/w"]);
  });

  it("says of a pod that it runs without an address, until it has one", () => {
    const resolver = resolve({ pods: [pod("shop/w", "n1", [], { tier: "web" }, { addressMissing: true })], policies: [ingress] });
    assert.deepEqual(resolver.problems(), [{
      kind: "Pod", object: "shop/w", message: "runs without an address, so it is nobody's peer and no rule is about it",
    }]);
    resolver.setPod(web("shop/w", "10.0.0.2"));
    assert.deepEqual(resolver.problems(), []);
    resolver.setPod(pod("shop/w", "n1", [], { tier: "web" }, { addressMissing: true, hostNetwork: true }));
    assert.deepEqual(resolver.problems(), [], "it has its node's");
  });
});
