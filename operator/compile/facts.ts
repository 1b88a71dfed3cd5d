import type { LabelSelector } from "../api/label-selector.ts";
import type { NetworkPolicyPeer, NetworkPolicyPort } from "../api/network-policy.ts";

/**
 * What compile must know of the cluster beside the SegmentPolicy. What is not known matches nothing, never everything,
 * and is a concern of the parts that needed it. `stale` = not seen any more: what was last known holds.
 */
export interface Facts {
  readonly dns: DnsFacts;
  /** `undefined` = not known. */
  readonly apiServer: ApiServerFacts | undefined;
  /** Namespaces that are no part of any segment. */
  readonly excludedNamespaces: readonly string[];
  /** The addresses of the nodes that `selector` selects. */
  nodes(selector: LabelSelector): NodeFacts;
}

/** Where the cluster's DNS answers. */
export interface DnsFacts {
  readonly peers: readonly NetworkPolicyPeer[];
  /** Allowed over UDP and TCP. */
  readonly ports: readonly number[];
  /** In words, what should be among the peers and is not known. */
  readonly unknown: readonly string[];
  readonly stale: readonly string[];
}

/** Where the API server answers, behind the Service `default/kubernetes`. Neither list is empty. */
export interface ApiServerFacts {
  readonly blocks: readonly string[];
  readonly ports: readonly NetworkPolicyPort[];
  readonly stale?: true;
}

export interface NodeFacts {
  /** CIDRs that together hold exactly the addresses; `undefined` = none is known. Never empty. */
  readonly blocks: readonly string[] | undefined;
  readonly stale?: true;
  /** How many blocks the addresses come to now, where that is more than a NetworkPolicy should hold. */
  readonly tooMany?: number;
}
