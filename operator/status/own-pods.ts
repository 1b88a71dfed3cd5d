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
  return spec.tiers.flatMap((tier) =>
    (["ingress", "egress"] as const).flatMap((direction) => {
      const peers = tier[direction].flatMap((rule) => rule.peers.filter((peer) => peer.kind === "pods"));
      if (peers.length === 0) return [];
      const homes = new Set(namespaces.filter((namespace) => livesIn(tier, namespace)));
      const ours = placed.filter(({ tiers }) => tiers.includes(tier.name));
      const opposite = OPPOSITE[direction];
      const answers = new Map(spec.tiers.map((own) => [own.name, answersOf(own, opposite, tier, ours)]));
      const denied = placed.find(
        (member) =>
          member.isolated &&
          peers.some((peer) => covers(peer, homes, member)) &&
          !member.tiers.some((name) => answers.get(name)?.(member.namespace)) &&
          !tier[direction].some(({ peers: all }) =>
            all.some((peer) => peer.kind === "tier" && member.tiers.includes(peer.tier)),
          ),
      );
      if (denied === undefined) return [];
      const { namespace, name } = denied.pod;
      return [
        `${direction} of tier ${tier.name} selects pod ${namespace}/${name} of this segment by its labels; ` +
          `the pod's own ${opposite} is not opened by that: name its tier`,
      ];
    }),
  );
}

/** Whether `peer`, in policies in each of `homes`, selects the pod. */
function covers(peer: PodsPeer, homes: ReadonlySet<SurveyedNamespace>, { pod, namespace }: PlacedPod): boolean {
  const { podSelector = {}, namespaceSelector } = peer;
  // Without a namespaceSelector a peer is of its policy's own namespace; with one it is the same from everywhere.
  const inScope =
    namespaceSelector === undefined
      ? homes.has(namespace)
      : homes.size > 0 && selects(namespaceSelector, namespace.labels);
  return inScope && selects(podSelector, pod.labels);
}

/**
 * Tells whether the tier `own` of a namespace says yes as well, to some pod of `other` at least. The pods are gone
 * through once for each peer, not once more for each pod that asks: segments have a hundred thousand.
 */
function answersOf(
  own: Tier,
  direction: "ingress" | "egress",
  other: Tier,
  pods: readonly PlacedPod[],
): (home: SurveyedNamespace) => boolean {
  const peers = own[direction].flatMap((rule) => rule.peers);
  if (peers.some((peer) => peer.kind === "anywhere" || (peer.kind === "tier" && peer.tier === other.name))) {
    return () => true;
  }
  const everywhere = new Set(pods.map(({ namespace }) => namespace));
  const found = peers
    .filter((peer) => peer.kind === "pods")
    .map((peer) => ({ peer, covered: pods.filter((pod) => covers(peer, everywhere, pod)) }));
  if (found.some(({ peer, covered }) => peer.namespaceSelector !== undefined && covered.length > 0)) return () => true;
  const homes = new Set(found.flatMap(({ covered }) => covered.map(({ namespace }) => namespace)));
  return (home) => homes.has(home);
}
