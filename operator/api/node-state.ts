import type { Members } from "./member-set.ts";
import type { IPBlock, Protocol } from "./network-policy.ts";

/**
 * What one node needs to know, resolved from all the cluster's NetworkPolicies, Pods and Namespaces: the output of
 * resolve, the content of a stream, the input of layout. Only what the node's own pods need is in it.
 */
export interface NodeState {
  readonly policies: ReadonlyMap<PolicyId, ResolvedPolicy>;
  readonly pods: ReadonlyMap<PodUid, LocalPod>;
  readonly peers: ReadonlyMap<PeerSetId, PeerSet>;
  /** By name of the SegmentPolicy, of those with pods on this node. */
  readonly generations: ReadonlyMap<string, GenerationMark>;
}

/** `<namespace>/<name>` of a NetworkPolicy. */
export type PolicyId = string & { readonly __brand: "PolicyId" };
export type PodUid = string & { readonly __brand: "PodUid" };
/** Hash of what the set means (canonical selectors, kind), never of its members: they change in place. */
export type PeerSetId = string & { readonly __brand: "PeerSetId" };

/** A NetworkPolicy with its peers resolved. Which directions it isolates is said by the pods that list it. */
export interface ResolvedPolicy {
  readonly id: PolicyId;
  /** The SegmentPolicy it was generated from; absent for a NetworkPolicy that users wrote themselves. */
  readonly segment?: string;
  readonly ingress: readonly ResolvedRule[];
  readonly egress: readonly ResolvedRule[];
}

/** Allows a packet whose other side is one of `peers` on one of `ports`, or is one of `endpoints`. */
export interface ResolvedRule {
  readonly peers: ResolvedPeers;
  /** `"any"` = every port and protocol. An empty list allows nothing by port (only `endpoints` may then). */
  readonly ports: "any" | readonly ResolvedPort[];
  /**
   * Egress to named ports: sets whose members are address, protocol and port together, because each destination pod
   * gives the name a number of its own. Empty for ingress.
   */
  readonly endpoints: readonly PeerSetId[];
}

export type ResolvedPeers =
  | "any"
  | {
      /** Of kind `address`. */
      readonly sets: readonly PeerSetId[];
      readonly blocks: readonly IPBlock[];
    };

/** One of: a number or an inclusive range; the whole protocol; for ingress a name, looked up on each local pod. */
export type ResolvedPort =
  | { readonly protocol: Protocol; readonly port: number; readonly endPort?: number }
  | { readonly protocol: Protocol; readonly name: string }
  | { readonly protocol: Protocol };

/** `address` members are IP addresses (`10.1.2.3`, `fd00::5`); `endpoint` members `<address>,<tcp|udp|sctp>:<port>`. */
export interface PeerSet {
  readonly kind: PeerSetKind;
  readonly members: Members;
}

export type PeerSetKind = "address" | "endpoint";

/** A pod on this node that has an address of its own. Open in a direction whose list of policies is empty. */
export interface LocalPod {
  readonly uid: PodUid;
  readonly namespace: string;
  readonly name: string;
  readonly addresses: readonly string[];
  readonly ports: readonly { readonly name: string; readonly protocol: Protocol; readonly port: number }[];
  /** Sorted; those that isolate it for ingress. */
  readonly ingress: readonly PolicyId[];
  /** Sorted; those that isolate it for egress. */
  readonly egress: readonly PolicyId[];
  /** What SegmentPolicies in mode Audit would do to it, sorted by policy and tier; absent = none selects it. */
  readonly audits?: readonly PodAudit[];
}

/**
 * A SegmentPolicy in mode Audit, as it is seen by one pod. What enforcement lets through and none of the policies
 * listed for its direction allows would be dropped.
 */
export interface PodAudit {
  /** The SegmentPolicy's name. */
  readonly policy: string;
  /** The tier that would-be drops are counted for; `""` = the pod is in none of its tiers. */
  readonly tier: string;
  /**
   * Sorted; all that would count for the pod's ingress: the SegmentPolicy's own parts and every NetworkPolicy that
   * selects the pod, also one that isolates nobody by itself. Empty = the SegmentPolicy leaves the direction alone.
   */
  readonly ingress: readonly PolicyId[];
  /** The same for its egress. */
  readonly egress: readonly PolicyId[];
}

/**
 * "All of generation `generation` is in what you have received." The enforcer confirms it once the kernel holds it.
 * `revision` is a hash of all the rules (not the members) of the SegmentPolicy on this node.
 */
export interface GenerationMark {
  readonly generation: number;
  readonly revision: string;
}

/** Changes to a NodeState; `undefined` as a value = gone. Applying one is atomic. */
export interface NodeDelta {
  readonly policies: ReadonlyMap<PolicyId, ResolvedPolicy | undefined>;
  readonly pods: ReadonlyMap<PodUid, LocalPod | undefined>;
  readonly peers: ReadonlyMap<PeerSetId, PeerSetDelta | undefined>;
  readonly generations: ReadonlyMap<string, GenerationMark | undefined>;
}

/** Net changes: an address is never in both lists. A set that the node does not know yet starts empty. */
export interface PeerSetDelta {
  readonly kind: PeerSetKind;
  readonly add: readonly string[];
  readonly remove: readonly string[];
}
