import type { Direction } from "../api/network-policy.ts";
import type { PodAudit, PolicyId, ResolvedPolicy } from "../api/node-state.ts";
import { compare } from "../api/label-selector.ts";
import type { LivePeerSet } from "./peer-set.ts";
import type { PodGroup } from "./pod-group.ts";

/**
 * What a policy does to the pods that it selects: `isolates` them, and allows what its rules allow; `allows` only,
 * where others isolate; `audits`, which neither isolates nor allows anything.
 */
export type Effect = "isolates" | "allows" | "audits";

/** A NetworkPolicy that counts, or one that a SegmentPolicy in mode Audit would write. */
export interface LivePolicy {
  readonly id: PolicyId;
  readonly segment: string | undefined;
  /** Of the SegmentPolicy; `""` for none. */
  readonly tier: string;
  readonly directions: readonly Direction[];
  readonly effect: Effect;
  /** Whom it selects. */
  readonly group: PodGroup;
  readonly resolved: ResolvedPolicy;
  /** Of `resolved`: equal hashes are equal rules. */
  readonly hash: string;
  readonly peerSets: readonly LivePeerSet[];
}

/**
 * The policies that isolate a pod for `direction`, sorted. With `enforce: Segments` a pod that no generated policy
 * selects for a direction is open in it, and one that is selected by one obeys all its policies, as in Kubernetes.
 */
export function isolatingPolicies(
  selecting: readonly LivePolicy[],
  direction: Direction,
  enforce: "Segments" | "All",
): readonly PolicyId[] {
  const counted = selecting.filter(({ directions, effect }) => effect !== "audits" && directions.includes(direction));
  const isolating = counted.filter(({ effect }) => effect === "isolates");
  if (isolating.length === 0) return [];
  if (enforce === "Segments" && isolating.every(({ segment }) => segment === undefined)) return [];
  return counted.map(({ id }) => id).toSorted();
}

/**
 * What each SegmentPolicy in mode Audit would do to a pod, sorted by its name. In a direction in which it would isolate
 * the pod, every NetworkPolicy on the pod would count too, whether it isolates by itself or not. Other audits do not:
 * each is judged as if it alone were added.
 */
export function auditsOf(selecting: readonly LivePolicy[]): readonly PodAudit[] {
  const parts = selecting.filter(({ effect }) => effect === "audits");
  if (parts.length === 0) return [];
  const written = selecting.filter(({ effect }) => effect !== "audits");
  const bySegment = Map.groupBy(parts, ({ segment }) => segment ?? "");
  return [...bySegment].toSorted(([a], [b]) => compare(a, b)).map(([policy, own]) => {
    const lists = (direction: Direction): readonly PolicyId[] => {
      const governs = ({ directions }: LivePolicy) => directions.includes(direction);
      return own.some(governs) ? [...own, ...written].filter(governs).map(({ id }) => id).toSorted() : [];
    };
    // A pod of several tiers is counted once, for the first of them by name.
    const [tier = ""] = own.map((part) => part.tier).filter((name) => name !== "").toSorted();
    return { policy, tier, ingress: lists("Ingress"), egress: lists("Egress") };
  });
}
