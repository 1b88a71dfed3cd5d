import type { Condition } from "./condition.ts";

/** SegmentNode: what one node's enforcer says of itself. One object per node, named as the node. */
export interface SegmentNode {
  readonly name: string;
  readonly uid: string;
  readonly resourceVersion: string;
  readonly status: SegmentNodeStatus;
}

export interface SegmentNodeStatus {
  readonly conditions: readonly Condition[];
  readonly policies: readonly PolicyConfirmation[];
  /** How many those are: kubectl's columns cannot count. */
  readonly policyCount: number;
  readonly pods: number;
  readonly rules: { readonly ipv4: number; readonly ipv6: number };
  readonly sets: number;
  readonly backend: "nft" | "legacy" | "";
  readonly version: string;
  /** RFC 3339, or empty before the first apply. */
  readonly lastAppliedTime: string;
}

/** "This node's kernel holds generation `generation` of the SegmentPolicy, with rules that hash to `revision`." */
export interface PolicyConfirmation {
  readonly name: string;
  readonly generation: number;
  readonly revision: string;
  readonly state: "Enforced" | "Failed";
  readonly message: string;
}
