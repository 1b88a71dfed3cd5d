import type { ConditionDraft } from "../api/condition.ts";
import { count, draft } from "./condition-draft.ts";
import type { Enforcement } from "./enforcement.ts";
import type { Outcome } from "./policy-status.ts";

/** Reason of `Ready=True`, and of `Enforced=False`, once every node has confirmed what it audits. */
export const AUDITING = "Auditing";
/** Reason of `Ready=False` and `Stalled`: a CNI that enforces NetworkPolicies does not audit what would be. */
export const NEEDS_ENFORCER = "AuditNeedsEnforcer";

/** In mode Audit nodes confirm as for enforcement, and nothing is enforced all the same. */
export function auditOnly(enforced: ConditionDraft, outcome: Outcome, enforcement: Enforcement): ConditionDraft {
  if (enforced.status !== "True") return enforced;
  return draft("Enforced", "False", AUDITING, `Nothing is enforced: ${auditText(outcome, enforcement)}`);
}

/** `would-be rules of 2 namespaces audited on 3 of 3 nodes` */
export function auditText({ namespaces }: Outcome, { nodes }: Enforcement): string {
  const rules = `would-be rules of ${count(namespaces.matched, "namespace", "namespaces")}`;
  if (nodes.desired === 0) return `${rules}, no pods yet`;
  const unreachable = nodes.unreachable > 0 ? `, ${count(nodes.unreachable, "node", "nodes")} unreachable` : "";
  return `${rules} audited on ${nodes.enforced} of ${count(nodes.desired, "node", "nodes")}${unreachable}`;
}

export function needsEnforcer(): ConditionDraft {
  const text = "mode: Audit needs Tierwall's enforcers, and enforcement is left to the CNI: nothing is audited";
  return draft("Ready", "False", NEEDS_ENFORCER, text);
}
