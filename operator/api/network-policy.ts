import type { LabelSelector } from "./label-selector.ts";
import type { ObjectMeta } from "./meta.ts";
import { FIELD_MANAGER, POLICY_LABEL } from "./meta.ts";

export type Protocol = "TCP" | "UDP" | "SCTP";
export type Direction = "Ingress" | "Egress";

/** `networking.k8s.io/v1` NetworkPolicy, as Tierwall reads it back from the API server. */
export interface NetworkPolicy {
  readonly metadata: ObjectMeta;
  readonly spec: NetworkPolicySpec;
  /** Paths of what this version does not understand. Each matches nothing: never wider than what was written. */
  readonly unreadable: readonly string[];
}

/**
 * With explicit lists, also where they are empty: an absent list in a forced apply leaves a stranger's list standing.
 */
export interface NetworkPolicySpec {
  readonly podSelector: LabelSelector;
  readonly policyTypes: readonly Direction[];
  readonly ingress: readonly IngressRule[];
  readonly egress: readonly EgressRule[];
}

export interface IngressRule {
  /** Absent or empty = any peer. */
  readonly from?: readonly NetworkPolicyPeer[];
  /** Absent or empty = every port and protocol. */
  readonly ports?: readonly NetworkPolicyPort[];
}

export interface EgressRule {
  readonly to?: readonly NetworkPolicyPeer[];
  readonly ports?: readonly NetworkPolicyPort[];
}

/** Either `ipBlock`, or one or both selectors (both = AND). */
export interface NetworkPolicyPeer {
  readonly podSelector?: LabelSelector;
  readonly namespaceSelector?: LabelSelector;
  readonly ipBlock?: IPBlock;
}

export interface IPBlock {
  readonly cidr: string;
  readonly except?: readonly string[];
}

export interface NetworkPolicyPort {
  /** Defaults to TCP. */
  readonly protocol?: Protocol;
  /** A number, or the name of a container port; absent = the whole protocol. */
  readonly port?: number | string;
  readonly endPort?: number;
}

/** The SegmentPolicy that a NetworkPolicy was generated from, or `undefined` for one that is not ours. */
export function generatedFrom({ metadata }: NetworkPolicy): string | undefined {
  // The label alone can be copied by anyone; the field manager is what the API server recorded of our own writes.
  return metadata.managers.includes(FIELD_MANAGER) ? metadata.labels[POLICY_LABEL] : undefined;
}
