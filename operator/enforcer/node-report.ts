import type { Condition, ConditionDraft } from "../api/condition.ts";
import { settleConditions } from "../api/condition.ts";
import type { NodeState } from "../api/node-state.ts";
import type { PolicyConfirmation, SegmentNodeStatus } from "../api/segment-node.ts";
import type { Applied } from "./firewall.ts";
import { familyOf } from "./layout/family.ts";
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
  const policies = confirmations(state);
  const ready: ConditionDraft =
    failure === undefined
      ? {
          type: "Ready",
          status: "True",
          reason: "Enforcing",
          message: `enforcing on ${pods} ${pods === 1 ? "pod" : "pods"}`,
        }
      : { type: "Ready", status: "False", ...failure };
  const degraded: ConditionDraft = { ...ready, type: "Degraded", status: "True" };
  return {
    conditions: settled(failure === undefined ? [ready] : [ready, degraded], previous?.conditions ?? [], now),
    policies,
    policyCount: policies.length,
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
  if (state === undefined) return [];
  const marks = [...state.generations].toSorted(([a], [b]) => (a < b ? -1 : 1));
  const uncovered = segmentsWithIPv6(state);
  return marks.map(([name, mark]): PolicyConfirmation => {
    const pod = uncovered.get(name);
    return pod === undefined
      ? { name, ...mark, state: "Enforced", message: "" }
      : {
          name,
          ...mark,
          state: "Failed",
          message: `pod ${pod} has an IPv6 address, on which this version enforces nothing`,
        };
  });
}

/** By segment, one of its pods here with an IPv6 address: to confirm rules that do not hold for it would be a lie. */
function segmentsWithIPv6({ pods, policies }: NodeState): ReadonlyMap<string, string> {
  const found = new Map<string, string>();
  for (const { namespace, name, addresses, ingress, egress } of pods.values()) {
    if (!addresses.some((address) => familyOf(address) === "ipv6")) continue;
    for (const id of [...ingress, ...egress]) {
      const segment = policies.get(id)?.segment;
      if (segment !== undefined) found.set(segment, `${namespace}/${name}`);
    }
  }
  return found;
}
