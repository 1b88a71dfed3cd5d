import type { Condition, ConditionDraft } from "../api/condition.ts";
import { settleConditions } from "../api/condition.ts";
import type { NodeState } from "../api/node-state.ts";
import type { PolicyConfirmation, SegmentNodeStatus } from "../api/segment-node.ts";
import type { Finding } from "./finding.ts";
import type { Backend } from "./netfilter/netfilter.ts";
import type { Applied } from "./node-firewall.ts";

/** What could not be done. */
export interface Failure {
  /** For a condition: CamelCase. */
  readonly reason: string;
  readonly message: string;
  /** What is in force does not hold for sure any more. Absent = only something newer could not be brought about. */
  readonly doubt?: boolean;
}

/** How the node's firewall stands after an apply or a failure. */
export interface NodeReport extends Applied {
  /** In force; `undefined` while none is. */
  readonly state: NodeState | undefined;
  readonly backend: Backend;
  /** What became of the node, as a condition's reason; without meaning beside a failure. */
  readonly standing: "Enforcing" | "EnforcingDiskCopy" | "Retired";
  readonly failure: Failure | undefined;
}

/**
 * The SegmentNode's status. Confirms the generations of the state that is in force, never of one that failed, and none
 * while that is in doubt. Those of a disk copy are confirmed too: the operator sent them, and the kernel holds them again.
 */
export function segmentNodeStatus(
  { state, wrote, rules, sets, findings, backend, standing, failure }: NodeReport,
  previous: SegmentNodeStatus | undefined,
  version: string,
  now: string,
): SegmentNodeStatus {
  const pods = state?.pods.size ?? 0;
  const policies = confirmations(state, failure, findings);
  const drafts = conditionDrafts(pods, standing, findings, failure);
  return {
    conditions: settled(drafts, previous?.conditions ?? [], now),
    policies,
    policyCount: policies.length,
    pods,
    rules,
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

/** Ready says whether the rules are in force and hold; Degraded says everything that is wrong, the worst first. */
function conditionDrafts(
  pods: number,
  standing: NodeReport["standing"],
  findings: readonly Finding[],
  failure: NodeReport["failure"],
): readonly ConditionDraft[] {
  const sorted = findings.toSorted((a, b) => Number(a.holds) - Number(b.holds));
  const wrong = [...(failure === undefined ? [] : [failure]), ...sorted];
  const breach = failure ?? sorted.find(({ holds }) => !holds);
  const ready: ConditionDraft =
    breach === undefined
      ? standingCondition(standing, pods)
      : { type: "Ready", status: "False", reason: breach.reason, message: breach.message };
  const [worst] = wrong;
  if (worst === undefined) return [ready];
  const message = wrong.map((each) => each.message).join("; ");
  return [ready, { type: "Degraded", status: "True", reason: worst.reason, message }];
}

function standingCondition(standing: NodeReport["standing"], pods: number): ConditionDraft {
  const text = `enforcing on ${pods} ${pods === 1 ? "pod" : "pods"}`;
  switch (standing) {
    case "Enforcing":
      return { type: "Ready", status: "True", reason: standing, message: text };
    case "EnforcingDiskCopy":
      return {
        type: "Ready",
        status: "True",
        reason: standing,
        message: `${text} what the disk copy says: the operator has not been reached yet`,
      };
    case "Retired":
      return {
        type: "Ready",
        status: "False",
        reason: standing,
        message: "the node is cleared of Tierwall's rules: enforcement is switched off",
      };
  }
}

/** To confirm rules that do not hold, or may not, would be a lie. */
function confirmations(
  state: NodeState | undefined,
  failure: Failure | undefined,
  findings: readonly Finding[],
): readonly PolicyConfirmation[] {
  if (state === undefined) return [];
  const marks = [...state.generations].toSorted(([a], [b]) => (a < b ? -1 : 1));
  const breach = failure?.doubt === true ? failure : findings.find(({ holds }) => !holds);
  return marks.map(([name, mark]): PolicyConfirmation => {
    if (breach === undefined) return { name, ...mark, state: "Enforced", message: "" };
    return { name, ...mark, state: "Failed", message: breach.message };
  });
}
