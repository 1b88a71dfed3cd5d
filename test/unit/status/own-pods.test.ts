import assert from "node:assert/strict";

import fc from "fast-check";

import { selects } from "../../../operator/api/label-selector.ts";
import type { SegmentPolicySpec, Tier, TierPeer } from "../../../operator/api/segment-policy.ts";
import type { Pod } from "../../../operator/api/workload.ts";
import { foreignPeerFindings } from "../../../operator/status/own-pods.ts";
import { livesIn, placePods, type PlacedPod, type SurveyedNamespace } from "../../../operator/status/placed-pod.ts";
import { runs } from "../runs.ts";

const SIDES = [["ingress", "egress"], ["egress", "ingress"]] as const;
const NAMES = ["one", "two", "three"];

/** By definition: every peer, as it stands in a policy in every namespace where its tier lives, beside every pod. */
function byDefinition(spec: SegmentPolicySpec, namespaces: readonly SurveyedNamespace[], placed: readonly PlacedPod[]) {
  const covers = (peer: TierPeer, home: SurveyedNamespace, { pod, namespace }: PlacedPod) =>
    peer.kind === "pods" &&
    (peer.namespaceSelector === undefined ? namespace === home : selects(peer.namespaceSelector, namespace.labels)) &&
    selects(peer.podSelector ?? {}, pod.labels);
  const opens = (tier: Tier, side: "ingress" | "egress", test: (peer: TierPeer) => boolean) =>
    tier[side].some(({ peers }) => peers.some(test));
  return spec.tiers.flatMap((tier) => SIDES.flatMap(([side, opposite]) => {
    const homes = namespaces.filter((namespace) => livesIn(tier, namespace));
    const answers = (own: Tier, { namespace }: PlacedPod) => opens(own, opposite, (peer) =>
      peer.kind === "anywhere" || (peer.kind === "tier" && peer.tier === tier.name) ||
      placed.some((pod) => pod.tiers.includes(tier.name) && covers(peer, namespace, pod)));
    const denied = placed.find((member) => member.isolated &&
      opens(tier, side, (peer) => homes.some((home) => covers(peer, home, member))) &&
      !spec.tiers.some((own) => member.tiers.includes(own.name) && answers(own, member)) &&
      !opens(tier, side, (peer) => peer.kind === "tier" && member.tiers.includes(peer.tier)));
    return denied === undefined ? [] : [`${side} of tier ${tier.name} selects pod ${denied.pod.namespace}/${denied.pod.name} `];
  }));
}

const labels = fc.record({ a: fc.constantFrom("1", "2") });
const selector = fc.oneof(fc.constant({}), labels.map((matchLabels) => ({ matchLabels })));
const peer: fc.Arbitrary<TierPeer> = fc.oneof(
  { weight: 6, arbitrary: fc.record({ kind: fc.constant("pods" as const), podSelector: selector, namespaceSelector: selector }, { requiredKeys: ["kind"] }) },
  { weight: 1, arbitrary: fc.constant<TierPeer>({ kind: "anywhere" }) },
  { weight: 1, arbitrary: fc.constantFrom(...NAMES).map((tier): TierPeer => ({ kind: "tier", tier })) },
);
const rules = fc.array(fc.array(peer, { minLength: 1, maxLength: 2 }).map((peers) => ({ peers, ports: "any" as const })), { maxLength: 2 });
const tiers = fc.tuple(...NAMES.map((name): fc.Arbitrary<Tier> =>
  fc.record({ name: fc.constant(name), podSelector: selector, namespaceSelector: selector, ingress: rules, egress: rules }, { requiredKeys: ["name", "podSelector", "ingress", "egress"] })));
const namespaces = fc.array(fc.tuple(labels, fc.array(labels, { maxLength: 3 })), { maxLength: 4 }).map((list) =>
  list.map(([own, pods], index): SurveyedNamespace => ({
    name: `n${index}`, labels: own, others: [],
    pods: pods.map((each, number): Pod => ({
      namespace: `n${index}`, name: `p${number}`, uid: "", labels: each, nodeName: "n", addresses: [], hostNetwork: false, finished: false,
      deleting: false, ports: [],
    })),
  })));

describe("pods of the segment that are named by labels", () => {
  it("are those that every peer in every namespace, beside every pod, comes to", () => {
    fc.assert(fc.property(tiers, namespaces, fc.constantFrom("AllPods", "TierPods"), (list, all, defaultDeny) => {
      const spec: SegmentPolicySpec = {
        namespaceSelector: {}, boundary: "Segment", policyTypes: ["Ingress", "Egress"], defaultDeny, dns: "Allow", quarantine: undefined,
        mode: "Enforce", suspend: false, tiers: list,
      };
      const placed = all.flatMap((namespace) => placePods(spec, namespace));
      const found = foreignPeerFindings(spec, all, placed);
      assert.deepEqual(found.map((text) => text.slice(0, text.indexOf("of this segment"))), byDefinition(spec, all, placed));
    }), { numRuns: runs(2_000) });
  });
});
