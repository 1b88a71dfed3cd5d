import type { EnforcerSettings } from "../api/enforcer-settings.ts";
import type {
  GenerationMark, LocalPod, PeerSetId, PeerSetKind, PodUid, PolicyId, ResolvedPolicy,
} from "../api/node-state.ts";

/**
 * Version of the messages below. An enforcer refuses a higher one and keeps what is in force. It refuses unknown fields
 * alike, and its SegmentNode names them. So a field that is sent only where it is needed, such as a pod's `audits`,
 * needs no new version: an older enforcer stands still while its own pods are audited, and everywhere else it goes on.
 */
export const PROTOCOL = 1;

/** Of a refusal: the kind of which the replica has seen less than the caller. */
export const BEHIND_HEADER = "tierwall-behind";

/**
 * One line of `GET /v1/nodes/<node>/stream`. `hello` is first, then `snapshot`; messages are then collected until a
 * `revision` ends the batch. What a snapshot does not name is gone once its batch is complete. Where enforcement is
 * switched off, `retire` comes instead of all that.
 */
export type StreamMessage =
  | Hello
  | { readonly type: "snapshot" }
  | { readonly type: "policy"; readonly id: PolicyId; readonly policy: ResolvedPolicy | null }
  | { readonly type: "pod"; readonly uid: PodUid; readonly pod: LocalPod | null }
  | PeersMessage
  | { readonly type: "generation"; readonly policy: string; readonly mark: GenerationMark | null }
  | Revision
  | { readonly type: "heartbeat" }
  | Retire;

/** The node is to be cleared of all of ours, and says so in its SegmentNode. */
export interface Retire {
  readonly type: "retire";
}

export interface Hello {
  readonly type: "hello";
  readonly protocol: number;
  /** Of the operator. */
  readonly version: string;
  readonly node: string;
  readonly settings: EnforcerSettings;
  /** Networks from which the node's pods get their addresses, as its Node says; empty while nobody knows. */
  readonly podCIDRs: readonly string[];
}

/** Net changes of one set's members, or its end. A large set comes as several messages of one batch. */
export type PeersMessage =
  | {
      readonly type: "peers";
      readonly id: PeerSetId;
      readonly kind: PeerSetKind;
      readonly add: readonly string[];
      readonly remove: readonly string[];
    }
  | { readonly type: "peers"; readonly id: PeerSetId; readonly gone: true };

/** Ends a batch: everything since the last one is to be applied together. */
export interface Revision {
  readonly type: "revision";
  /** Counts the batches of this stream, from 1. */
  readonly revision: number;
  /** Resource version, per kind, of what this state was computed from. */
  readonly versions: Readonly<Record<string, string>>;
  readonly complete: true;
}
