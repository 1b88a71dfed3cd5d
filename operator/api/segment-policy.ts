import type { Condition } from "./condition.ts";
import type { LabelSelector } from "./label-selector.ts";
import type { ObjectMeta } from "./meta.ts";
import type { Direction, IPBlock, Protocol } from "./network-policy.ts";

/** SegmentPolicy (`segpol`): which tiers of an application may talk. Cluster-scoped. */
export interface SegmentPolicy {
  readonly metadata: ObjectMeta;
  readonly verdict: SpecVerdict;
  readonly status: SegmentPolicyStatus;
  /** The whole status as canonical JSON: whether it has to be written is a comparison of texts. */
  readonly statusText: string;
  /** Finalizers decide what a deletion does with the generated objects (`orphan` keeps them). */
  readonly finalizers: readonly string[];
}

export interface SegmentPolicySpec {
  readonly namespaceSelector: LabelSelector;
  /** `Namespace`: each matching namespace is a segment of its own. `Segment`: tiers span all of them. */
  readonly boundary: "Namespace" | "Segment";
  /** At least one, in the order Ingress, Egress. No tier has a rule in another direction. */
  readonly policyTypes: readonly Direction[];
  readonly defaultDeny: "AllPods" | "TierPods";
  readonly dns: "Allow" | "Deny";
  /** `undefined` = off, as always with `mode: Audit`: nothing is cut off there. */
  readonly quarantine: QuarantineLabel | undefined;
  /** `Audit`: no NetworkPolicy is written; the nodes count and log what would be dropped. */
  readonly mode: "Enforce" | "Audit";
  /** Nothing is written but the status. */
  readonly suspend: boolean;
  readonly tiers: readonly Tier[];
}

/** A pod that carries `key` (with `value`, where one is given) is cut off. */
export interface QuarantineLabel {
  readonly key: string;
  readonly value: string | undefined;
}

export interface Tier {
  readonly name: string;
  readonly podSelector: LabelSelector;
  /** Only with `boundary: Segment`: where in the segment the tier lives. Absent = in all its namespaces. */
  readonly namespaceSelector?: LabelSelector;
  readonly ingress: readonly TierRule[];
  readonly egress: readonly TierRule[];
}

/** One entry of a tier's `ingress` or `egress`: any of `peers` on any of `ports`. */
export interface TierRule {
  /** Never empty. */
  readonly peers: readonly TierPeer[];
  /** `"any"` = every port and protocol. */
  readonly ports: "any" | readonly TierPort[];
}

export type TierPeer =
  | { readonly kind: "tier"; readonly tier: string }
  | { readonly kind: "pods"; readonly podSelector?: LabelSelector; readonly namespaceSelector?: LabelSelector }
  | { readonly kind: "ipBlock"; readonly ipBlock: IPBlock }
  | { readonly kind: "anywhere" }
  /** Egress only: where the API server answers. */
  | { readonly kind: "kubeAPIServer" }
  /** The addresses of the nodes that `selector` selects. */
  | { readonly kind: "nodes"; readonly selector: LabelSelector };

export interface TierPort {
  readonly protocol: Protocol;
  readonly port: number | string;
  readonly endPort?: number;
}

export interface SegmentPolicyStatus {
  /** -1 until the operator first wrote it. */
  readonly observedGeneration: number;
  readonly conditions: readonly Condition[];
  readonly namespaces?: { readonly matched: number; readonly applied: number; readonly summary: string };
  readonly networkPolicies?: number;
  readonly nodes?: NodeSummary;
  readonly tiers?: readonly TierCount[];
  readonly untieredPods?: number;
  readonly quarantinedPods?: number;
}

export interface TierCount {
  readonly name: string;
  readonly pods: number;
}

export interface NodeSummary {
  readonly desired: number;
  readonly enforced: number;
  readonly pending: number;
  readonly unreachable: number;
  /** `<enforced>/<desired>` */
  readonly summary: string;
  /** At most five, worst first. */
  readonly failing: readonly { readonly name: string; readonly reason: string }[];
}

/** What the spec turned out to be. One that is not accepted leaves what is in force as it is. */
export type SpecVerdict =
  | { readonly accepted: true; readonly spec: SegmentPolicySpec }
  | { readonly accepted: false; readonly reason: "NotImplemented" | "Invalid"; readonly message: string };
