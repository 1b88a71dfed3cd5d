import type { Condition, ConditionDraft } from "../api/condition.ts";
import { settleConditions } from "../api/condition.ts";
import type { NodeState } from "../api/node-state.ts";
import type { PolicyConfirmation, SegmentNodeStatus } from "../api/segment-node.ts";
import type { Applied } from "./firewall.ts";
import type { Backend } from "./netfilter/netfilter.ts";

/** How the node's firewall stands after an apply or a failure. */
export interface NodeReport extends Applied {
  /** In force; `undefined` while none is. */
  readonly state: NodeState | undefined;
  readonly backend: Backend;
  readonly failure: { readonly reason: string; readonly message: string } | undefined;
}

/** The SegmentNode's status. Confirms the generations of the state that is in force, never of one that failed. */
export function segmentNodeStatus(
  { state, wrote, rules, sets, backend, failure }: NodeReport,
  previous: SegmentNodeStatus | undefined,
  version: string,
  now: string,
): SegmentNodeStatus {
  const pods = state?.pods.size ?? 0;
  const ready: ConditionDraft =
    failure === undefined
      ? { type: "Ready", status: "True", reason: "Enforcing", message: `enforcing on ${pods} pods` }
      : { type: "Ready", status: "False", ...failure };
  const degraded: ConditionDraft = { ...ready, type: "Degraded", status: "True" };
  return {
    conditions: settled(failure === undefined ? [ready] : [ready, degraded], previous?.conditions ?? [], now),
    policies: confirmations(state),
    pods,
    rules: { ipv4: rules, ipv6: 0 },
    sets,
    backend,
    version,
    lastAppliedTime: wrote || previous === undefined ? (state === undefined ? "" : now) : previous.lastAppliedTime,
  };
}

function settled(drafts: readonly ConditionDraft[], previous: readonly Condition[], now: string): readonly Condition[] {
  // A SegmentNode has no spec, so its generation never moves.
  return settleConditions(drafts, previous, 1, now);
}

function confirmations(state: NodeState | undefined): readonly PolicyConfirmation[] {
  const marks = [...(state?.generations ?? [])].toSorted(([a], [b]) => (a < b ? -1 : 1));
  return marks.map(([name, mark]) => ({ name, ...mark, state: "Enforced", message: "" }));
}
