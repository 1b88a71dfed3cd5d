import type { LabelSelector } from "../api/label-selector.ts";
import type { NetworkPolicySpec } from "../api/network-policy.ts";

/**
 * One NetworkPolicy that a SegmentPolicy puts into each of its namespaces. Parts are the same in every namespace, so
 * they are compiled once and not per namespace.
 */
export interface Part {
  /** Of the NetworkPolicy, unique within a namespace, stable while the part selects the same pods. */
  readonly name: string;
  readonly kind: PartKind;
  /** Only for kind `tier`. */
  readonly tier?: string;
  readonly spec: NetworkPolicySpec;
}

export type PartKind = "quarantine" | "tier" | "default";

/**
 * Order of roll-out: who is allowed something is allowed it before `default` denies the rest. Taking away goes the
 * other way round.
 */
export const ROLL_OUT: Readonly<Record<PartKind, number>> = { quarantine: 0, tier: 1, default: 2 };

/** What a part is, for naming it. */
export interface PartIdentity {
  readonly policy: string;
  readonly kind: PartKind;
  readonly tier?: string;
  readonly podSelector: LabelSelector;
}
