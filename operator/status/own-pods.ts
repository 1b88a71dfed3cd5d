import { selects } from "../api/label-selector.ts";
import type { SegmentPolicySpec, Tier, TierPeer } from "../api/segment-policy.ts";
import { livesIn, type PlacedPod, type SurveyedNamespace } from "./placed-pod.ts";

type PodsPeer = Extract<TierPeer, { readonly kind: "pods" }>;

const OPPOSITE = { ingress: "egress", egress: "ingress" } as const;

/**
 * Rules that name pods of this very segment by labels. Only `tier` peers are opened on both sides: the other side of
 * such a rule still denies it, and the author of it may not see why.
 */
export function foreignPeerFindings(
  spec: SegmentPolicySpec,
  namespaces: readonly SurveyedNamespace[],
  placed: readonly PlacedPod[],
): readonly string[] {
  // Where only one direction is controlled the other side denies nothing.
  if (spec.policyTypes.length < 2) return [];
  const byName = new Map(spec.tiers.map((tier) => [tier.name, tier]));
  return spec.tiers.flatMap((tier) =>
    (["ingress", "egress"] as const).flatMap((direction) => {
      const peers = tier[direction].flatMap((rule) => rule.peers.filter((peer) => peer.kind === "pods"));
      const homes = namespaces.filter((namespace) => livesIn(tier, namespace));
      const ours = placed.filter(({ tiers }) => tiers.includes(tier.name));
      const named = (member: PlacedPod) => peers.some((peer) => homes.some((home) => covers(peer, home, member)));
      const denied = placed.find(
        (member) =>
          member.isolated &&
          named(member) &&
          !member.tiers.some((name) => answers(byName.get(name), OPPOSITE[direction], tier, ours, member)) &&
          !tier[direction].some(({ peers: all }) =>
            all.some((peer) => peer.kind === "tier" && member.tiers.includes(peer.tier)),
          ),
      );
      if (denied === undefined) return [];
      const { namespace, name } = denied.pod;
      return [
        `${direction} of tier ${tier.name} selects pod ${namespace}/${name} of this segment by its labels; ` +
          `the pod's own ${OPPOSITE[direction]} is not opened by that: name its tier`,
      ];
    }),
  );
}

/** Whether `peer`, in a policy in namespace `home`, selects the pod. */
function covers(peer: PodsPeer, home: SurveyedNamespace, { pod, namespace }: PlacedPod): boolean {
  const inScope =
    peer.namespaceSelector === undefined ? namespace === home : selects(peer.namespaceSelector, namespace.labels);
  return inScope && selects(peer.podSelector ?? {}, pod.labels);
}

/** Whether the pod's own tier says yes as well, to some pod of `other` at least. */
function answers(
  own: Tier | undefined,
  direction: "ingress" | "egress",
  other: Tier,
  pods: readonly PlacedPod[],
  { namespace }: PlacedPod,
): boolean {
  return (own?.[direction] ?? []).some(({ peers }) =>
    peers.some((peer) => {
      if (peer.kind === "anywhere") return true;
      if (peer.kind === "tier") return peer.tier === other.name;
      return peer.kind === "pods" && pods.some((pod) => covers(peer, namespace, pod));
    }),
  );
}
