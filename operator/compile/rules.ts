import { compare } from "../api/label-selector.ts";
import type { NetworkPolicyPeer, NetworkPolicyPort } from "../api/network-policy.ts";

/**
 * A rule of either direction on its way into a NetworkPolicy. Lists are never empty: there an empty list means "any".
 */
export interface DraftRule {
  readonly peers: "any" | readonly NetworkPolicyPeer[];
  readonly ports: "any" | readonly NetworkPolicyPort[];
}

/** The rules with peers, ports and themselves sorted and without duplicates: one text for one meaning. */
export function canonicalRules(rules: readonly DraftRule[]): readonly DraftRule[] {
  for (const { peers, ports } of rules) {
    if (peers.length === 0 || ports.length === 0) throw new Error("an empty list would allow everything");
  }
  return distinct(
    rules.map(({ peers, ports }): DraftRule => ({
      peers: peers === "any" ? "any" : distinct(peers),
      ports: ports === "any" ? "any" : distinct(ports),
    })),
  );
}

/** Sorted by canonical text, duplicates gone. Members have been built with their keys in a fixed order. */
export function distinct<T>(values: readonly T[]): readonly T[] {
  const byText = new Map(values.map((value) => [JSON.stringify(value), value] as const));
  return [...byText].toSorted(([a], [b]) => compare(a, b)).map(([, value]) => value);
}
