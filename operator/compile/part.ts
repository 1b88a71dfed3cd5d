import { selects, type LabelSelector } from "../api/label-selector.ts";
import type { Labels } from "../api/meta.ts";
import type { NetworkPolicyPort, NetworkPolicySpec } from "../api/network-policy.ts";

/**
 * One NetworkPolicy that a SegmentPolicy puts into its namespaces. A part is the same in every namespace it lives in,
 * so it is compiled once and not per namespace.
 */
export interface Part {
  /** Of the NetworkPolicy, unique within a namespace, stable while the part selects the same pods. */
  readonly name: string;
  readonly kind: PartKind;
  /** Only for kind `tier`. */
  readonly tier?: string;
  /** Which of the segment's namespaces it lives in; absent = in all. */
  readonly livesIn?: LabelSelector;
  readonly spec: NetworkPolicySpec;
  /** Rules that are missing because a fact is not known. */
  readonly gaps: readonly Gap[];
  /** What is to be said of the facts it was compiled from. */
  readonly concerns: readonly FactConcern[];
}

/** A rule for a fact that is not known. What is live of it holds until the fact is seen. */
export interface Gap {
  readonly direction: "ingress" | "egress";
  /** Of the rule; `undefined` = they belong to the unknown fact as well. */
  readonly ports: "any" | readonly NetworkPolicyPort[] | undefined;
}

/** A fact, in words, that is not known, that was known and is not seen any more, or that is too much to be written. */
export interface FactConcern {
  readonly kind: "unknown" | "stale" | "tooMany";
  readonly fact: string;
}

export type PartKind = "quarantine" | "tier" | "default";

/**
 * Order of roll-out: who is allowed something is allowed it before `default` denies the rest. Taking away goes the
 * other way round.
 */
export const ROLL_OUT: Readonly<Record<PartKind, number>> = { quarantine: 0, tier: 1, default: 2 };

/** The parts that live in a namespace with these labels. */
export function partsIn(parts: readonly Part[], labels: Labels): readonly Part[] {
  return parts.filter(({ livesIn }) => livesIn === undefined || selects(livesIn, labels));
}

/** What a part is, for naming it. */
export interface PartIdentity {
  readonly policy: string;
  readonly kind: PartKind;
  readonly tier?: string;
  readonly podSelector: LabelSelector;
}
