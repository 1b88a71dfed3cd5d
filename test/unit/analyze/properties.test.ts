import assert from "node:assert/strict";
import { isDeepStrictEqual } from "node:util";
import fc from "fast-check";
import type { Cluster } from "../../../operator/analyze/cluster.ts";
import type { Packet } from "../../../operator/analyze/packet.ts";
import { judgeOf, verdict, type Judgement } from "../../../operator/analyze/verdict.ts";
import type { Direction, NetworkPolicy } from "../../../operator/api/network-policy.ts";
import type { ClusterDraft, PolicyDraft } from "../../cases/case.ts";
import { readCluster } from "../../cases/evaluation.ts";
import { rawCluster } from "../../cases/raw-cluster.ts";
import { clusterDraft, PACKETS, PLAN, policyDraft } from "./cluster-draft.ts";
import { runs } from "../runs.ts";

const SIDES = [["egress", "Egress"], ["ingress", "Ingress"]] as const;
const NEW = "shop/new";

describe("whatever the cluster, the evaluator", function () {
  this.timeout(60_000);

  it("does not care about the order of objects, rules, peers and ports", () => {
    check(fc.tuple(clusterDraft(), fc.infiniteStream(fc.nat())), ([draft, dice], sent) => {
      const shuffle = <T>(items: readonly T[]): readonly T[] => items
        .map((item) => [dice.next().value ?? 0, item] as const).toSorted(([a], [b]) => a - b).map(([, item]) => item);
      const cluster = read(draft);
      const mixed: Cluster = {
        ...cluster,
        namespaces: shuffle(cluster.namespaces),
        pods: shuffle(cluster.pods),
        networkPolicies: shuffle(cluster.networkPolicies).map((policy) => ({
          ...policy,
          spec: {
            ...policy.spec,
            ingress: shuffle(policy.spec.ingress).map(({ from, ports }) => (
              { ...(from && { from: shuffle(from) }), ...(ports && { ports: shuffle(ports) }) }
            )),
            egress: shuffle(policy.spec.egress).map(({ to, ports }) => (
              { ...(to && { to: shuffle(to) }), ...(ports && { ports: shuffle(ports) }) }
            )),
          },
        })),
      };
      const [judge, judgeMixed] = [judgeOf(cluster), judgeOf(mixed)];
      for (const packet of sent) same(judge(packet).allowed, judgeMixed(packet).allowed, packet);
    });
  });

  it("lets one more policy open only what its own rules allow, and close only what nothing isolated before", () => {
    check(fc.tuple(clusterDraft(), policyDraft()), ([draft, policy], sent) => {
      const before = judgeOf(read({ ...draft, enforce: "All" }));
      const after = judgeOf(read({ ...draft, enforce: "All", policies: { ...draft.policies, [NEW]: policy } }));
      for (const packet of sent) {
        const [was, is] = [before(packet), after(packet)];
        for (const [side] of SIDES) {
          if (was[side].kind === "denied" && is[side].kind !== "denied") same(byPolicy(is[side]), NEW, packet);
          if (was[side].kind === "open" && is[side].kind === "denied") same(isolating(is[side]), [NEW], packet);
          if (was[side].kind === "allowed") same(is[side].kind, "allowed", packet);
        }
      }
    });
  });

  it("gives a rule that allows the packet alone as well, with the peer and the port that it names", () => {
    check(clusterDraft(), (draft, sent) => {
      const cluster = read(draft);
      const judge = judgeOf(cluster);
      for (const packet of sent) {
        for (const [side, direction] of SIDES) {
          const reason = judge(packet)[side];
          if (reason.kind !== "allowed") continue;
          const policies = cluster.networkPolicies.flatMap((policy) => narrowed(policy, direction, reason));
          assert.equal(policies.length, 1);
          const alone = verdict({ ...cluster, networkPolicies: policies, enforce: "All" }, packet)[side];
          same(alone.kind, "allowed", packet);
        }
      }
    });
  });

  it("judges egress as ingress the other way round, but for names of ports", () => {
    check(clusterDraft(false), (draft, sent) => {
      const cluster = { ...read(draft), nodeTraffic: "Allow" as const };
      const turned: Cluster = { ...cluster, networkPolicies: cluster.networkPolicies.map(turnedRound) };
      const [judge, judgeTurned] = [judgeOf(cluster), judgeOf(turned)];
      for (const packet of sent) {
        const back = { ...packet, source: packet.destination, destination: packet.source };
        const [there, here] = [judge(packet), judgeTurned(back)];
        same([there.egress, there.ingress], [here.ingress, here.egress], packet);
      }
    });
  });

  it("judges a family as if there were no other", () => {
    check(clusterDraft(), (draft, sent) => {
      const cluster = read(draft);
      const judge = judgeOf(cluster);
      const halved = (colon: boolean) => judgeOf({
        ...cluster,
        pods: cluster.pods.map((pod) => (
          { ...pod, addresses: pod.addresses.filter((address) => address.includes(":") === colon) }
        )),
      });
      const halves = { true: halved(true), false: halved(false) };
      for (const packet of sent) {
        const half = halves[`${packet.source.includes(":")}`];
        same(half(packet), judge(packet), packet);
      }
    });
  });

  it("enforces more with All than with Segments, and the same where all policies are generated", () => {
    check(clusterDraft(), (draft, sent) => {
      const all = judgeOf(read({ ...draft, enforce: "All" }));
      const segments = judgeOf(read({ ...draft, enforce: "Segments" }));
      const policies = Object.entries(draft.policies).map(([id, policy]) => [id, { ...policy, generated: true }]);
      const ours = judgeOf(read({ ...draft, enforce: "Segments", policies: Object.fromEntries(policies) }));
      for (const packet of sent) {
        if (all(packet).allowed) same(segments(packet).allowed, true, packet);
        same(ours(packet), all(packet), packet);
      }
    });
  });

  it("takes a field that nobody knows, anywhere in a rule, for nothing that lets more through", () => {
    check(fc.tuple(clusterDraft(), policyDraft(), fc.nat()), ([draft, policy, where], sent) => {
      const known = judgeOf(read({ ...draft, policies: { ...draft.policies, [NEW]: policy } }));
      const strange: PolicyDraft = { ...policy, spec: withStranger(policy.spec, where) };
      const unknown = judgeOf(read({ ...draft, policies: { ...draft.policies, [NEW]: strange } }));
      for (const packet of sent) {
        if (!known(packet).allowed) same(unknown(packet).allowed, false, packet);
      }
    });
  });

  it("lets a node reach its own pods and a pod itself", () => {
    check(clusterDraft(), (draft, sent) => {
      const cluster = read(draft);
      for (const packet of sent) {
        const { destination, source } = packet;
        const own = cluster.pods.some(({ addresses, nodeName }) => (
          addresses.includes(destination) && cluster.nodes.get(nodeName)?.includes(source)
        ));
        if (own || destination === source) same(verdict(cluster, packet).allowed, true, packet);
      }
    });
  });
});

/** A sample of packets for each draft: all of them for every one would take minutes. */
function check<T>(arbitrary: fc.Arbitrary<T>, holds: (draft: T, sent: readonly Packet[]) => void): void {
  const some = fc.shuffledSubarray([...PACKETS], { minLength: 60, maxLength: 60 });
  fc.assert(fc.property(arbitrary, some, holds), { numRuns: runs(100) });
}

function read(draft: ClusterDraft): Cluster {
  return readCluster(rawCluster(draft, PLAN), PLAN);
}

function same<T>(actual: T, expected: T, packet: Packet): void {
  if (isDeepStrictEqual(actual, expected)) return;
  const texts = [packet, actual, expected].map((each) => JSON.stringify(each));
  assert.deepEqual(actual, expected, `${texts[0]}: ${texts[1]}, not ${texts[2]}`);
}

function byPolicy(judgement: Judgement): string {
  return judgement.kind === "allowed" ? judgement.policy : judgement.kind;
}

function isolating(judgement: Judgement): readonly string[] {
  return judgement.kind === "denied" ? judgement.isolatedBy : [];
}

/** The policy that a reason names, with nothing in it but what the reason names; nothing of any other policy. */
function narrowed(policy: NetworkPolicy, direction: Direction, reason: Judgement): readonly NetworkPolicy[] {
  const { metadata: { namespace, name }, spec } = policy;
  if (reason.kind !== "allowed" || reason.policy !== `${namespace}/${name}`) return [];
  const pick = <T>(items: readonly T[] | undefined, index: number | undefined): readonly T[] => {
    if (index === undefined) assert.equal(items?.length ?? 0, 0, "a list was passed over");
    return items?.filter((_, each) => each === index) ?? [];
  };
  const ingress = pick(spec.ingress, direction === "Ingress" ? reason.rule : -1)
    .map(({ from, ports }) => ({ from: pick(from, reason.peer), ports: pick(ports, reason.port) }));
  const egress = pick(spec.egress, direction === "Egress" ? reason.rule : -1)
    .map(({ to, ports }) => ({ to: pick(to, reason.peer), ports: pick(ports, reason.port) }));
  return [{ ...policy, spec: { ...spec, ingress, egress } }];
}

function turnedRound(policy: NetworkPolicy): NetworkPolicy {
  const { spec } = policy;
  return {
    ...policy,
    spec: {
      ...spec,
      policyTypes: spec.policyTypes.map((type) => (type === "Ingress" ? "Egress" : "Ingress")),
      ingress: spec.egress.map(({ to, ports }) => ({ ...(to && { from: to }), ...(ports && { ports }) })),
      egress: spec.ingress.map(({ from, ports }) => ({ ...(from && { to: from }), ...(ports && { ports }) })),
    },
  };
}

/** A copy with one field more in one of the objects inside `ingress` and `egress`, picked by `where`. */
function withStranger(spec: unknown, where: number): unknown {
  // By way of text: objects that stand in several places become several.
  const copy: unknown = JSON.parse(JSON.stringify(spec));
  const { ingress, egress } = copy as Readonly<Record<"ingress" | "egress", readonly object[]>>;
  const places = objectsIn([...ingress, ...egress]);
  const place = places[where % Math.max(places.length, 1)];
  if (place !== undefined) Object.assign(place, { stranger: true });
  return copy;
}

function objectsIn(value: unknown): readonly object[] {
  if (Array.isArray(value)) return value.flatMap(objectsIn);
  if (typeof value !== "object" || value === null) return [];
  // Any key may stand in `matchLabels`.
  const inside = Object.entries(value).filter(([key]) => key !== "matchLabels").map(([, member]) => member as unknown);
  return [value, ...inside.flatMap(objectsIn)];
}
