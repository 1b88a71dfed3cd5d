import type { NetworkPolicyPeer } from "../api/network-policy.ts";

/**
 * What compile must know of the cluster beside the SegmentPolicy. What is unknown is left out and so matches nothing;
 * whoever gathers the facts says so in a condition.
 */
export interface Facts {
  readonly dns: DnsFacts;
}

/** Where the cluster's DNS answers. */
export interface DnsFacts {
  readonly peers: readonly NetworkPolicyPeer[];
  /** Allowed over UDP and TCP. */
  readonly ports: readonly number[];
}
