import { bothSelectors, type LabelSelector } from "../api/label-selector.ts";
import { NAMESPACE_NAME_LABEL } from "../api/meta.ts";
import type { NetworkPolicyPeer } from "../api/network-policy.ts";
import type { SegmentPolicySpec, Tier } from "../api/segment-policy.ts";
import { outsideQuarantine } from "./quarantine.ts";

/** How the tiers of one SegmentPolicy are selected: as the pods of a part, and as the peer of a rule. */
export class SegmentPeers {
  readonly #spec: SegmentPolicySpec;
  readonly #excluded: LabelSelector;
  readonly #tiers: ReadonlyMap<string, Tier>;

  constructor(spec: SegmentPolicySpec, excludedNamespaces: readonly string[]) {
    this.#spec = spec;
    this.#tiers = new Map(spec.tiers.map((tier) => [tier.name, tier]));
    this.#excluded =
      excludedNamespaces.length === 0
        ? {}
        : { matchExpressions: [{ key: NAMESPACE_NAME_LABEL, operator: "NotIn", values: excludedNamespaces }] };
  }

  /** The pods of a tier, in a namespace it lives in. @throws Error for an undeclared tier: parsing refuses those */
  podsOf(tier: string): LabelSelector {
    return outsideQuarantine(this.#tier(tier).podSelector, this.#spec.quarantine);
  }

  /** The tier as a peer: of the namespace at hand, or of every namespace of the segment that it lives in. */
  peerOf(tier: string): NetworkPolicyPeer {
    const podSelector = this.podsOf(tier);
    if (this.#spec.boundary === "Namespace") return { podSelector };
    const home = bothSelectors(this.#spec.namespaceSelector, this.#tier(tier).namespaceSelector ?? {});
    return { podSelector, namespaceSelector: bothSelectors(home, this.#excluded) };
  }

  #tier(name: string): Tier {
    const tier = this.#tiers.get(name);
    if (tier === undefined) throw new Error(`tier ${name} is not declared`);
    return tier;
  }
}
