import type { Direction } from "../api/network-policy.ts";
import type { PolicyId, ResolvedPolicy } from "../api/node-state.ts";
import type { LivePeerSet } from "./peer-set.ts";
import type { PodGroup } from "./pod-group.ts";

/** A NetworkPolicy that is in force. */
export interface LivePolicy {
  readonly id: PolicyId;
  readonly segment: string | undefined;
  readonly directions: readonly Direction[];
  /** False for one that only allows: it counts where others isolate. */
  readonly isolates: boolean;
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
  const counted = selecting.filter(({ directions }) => directions.includes(direction));
  const isolating = counted.filter(({ isolates }) => isolates);
  if (isolating.length === 0) return [];
  if (enforce === "Segments" && isolating.every(({ segment }) => segment === undefined)) return [];
  return counted.map(({ id }) => id).toSorted();
}
