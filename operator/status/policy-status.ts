import { settleConditions, type ConditionDraft } from "../api/condition.ts";
import type { SegmentPolicy, SegmentPolicyStatus } from "../api/segment-policy.ts";
import type { Enforcement } from "./enforcement.ts";

/** What the last reconcile of a SegmentPolicy came to. */
export interface Outcome {
  readonly generation: number;
  readonly namespaces: { readonly matched: number; readonly applied: number };
  /** How many NetworkPolicies the segment consists of, in all its namespaces. */
  readonly networkPolicies: number;
  /** The NetworkPolicies that are observed equal the compiled ones, in every namespace. */
  readonly placed: boolean;
  /** `<namespace>/<name>` of NetworkPolicies that we need and somebody else has. */
  readonly conflicts: readonly string[];
  readonly failures: readonly { readonly namespace: string; readonly message: string }[];
  /** Facts that are not known yet, such as the address of the cluster's DNS. */
  readonly unknownFacts: readonly string[];
}

export interface StatusInput {
  readonly outcome: Outcome;
  /** `undefined` = enforcement is left to the cluster's CNI. */
  readonly enforcement: Enforcement | undefined;
  readonly tiers: readonly { readonly name: string; readonly pods: number }[];
}

/**
 * The status to be seen with `kubectl get segpol`, in the form kstatus, Flux and Argo CD wait on: Ready always there,
 * Reconciling and Stalled only while True and never together, everything with the generation it speaks of.
 * @param now RFC 3339
 */
export function policyStatus(policy: SegmentPolicy, input: StatusInput, now: string): SegmentPolicyStatus {
  const { generation } = policy.metadata;
  const conditions = settleConditions(drafts(policy, input), policy.status.conditions, generation, now);
  const status: SegmentPolicyStatus = { observedGeneration: generation, conditions };
  if (!policy.verdict.accepted) return status;
  const {
    outcome: {
      namespaces: { matched, applied },
      networkPolicies,
    },
    enforcement,
    tiers,
  } = input;
  return {
    ...status,
    namespaces: { matched, applied, summary: `${applied}/${matched}` },
    networkPolicies,
    ...(enforcement && { nodes: enforcement.nodes }),
    tiers,
  };
}

function drafts({ verdict }: SegmentPolicy, input: StatusInput): readonly ConditionDraft[] {
  if (!verdict.accepted) return refusal(verdict.reason, verdict.message, input.enforcement !== undefined);
  const accepted = draft("Accepted", "True", "Valid", "The spec makes sense");
  const applied = judgeApplied(input.outcome);
  const enforced = judgeEnforced(input);
  const ready = judgeReady(applied, enforced, input.enforcement);
  return [
    ready,
    accepted,
    applied,
    enforced,
    ...progress(ready, applied, input.enforcement),
    ...degradation(enforced, input.enforcement),
    ...warnings(input),
  ];
}

/** Only a change of the spec helps: Stalled, and nothing of this generation is written. */
function refusal(reason: string, message: string, managed: boolean): readonly ConditionDraft[] {
  const stays = "what was in force stays";
  return [
    draft("Ready", "False", reason, message),
    draft("Accepted", "False", reason, message),
    draft("PoliciesApplied", "False", reason, `Nothing of this generation was written; ${stays}`),
    managed ? draft("Enforced", "False", reason, `This generation is not enforced; ${stays}`) : notManaged(),
    draft("Stalled", "True", reason, message),
  ];
}

function judgeApplied({ conflicts, failures, namespaces, placed, networkPolicies }: Outcome): ConditionDraft {
  const type = "PoliciesApplied";
  const [conflict] = conflicts;
  if (conflict !== undefined) {
    const text = `NetworkPolicy ${conflict}${andMore(conflicts.length - 1)} was not made by Tierwall and is left alone`;
    return draft(type, "False", "NameConflict", `${text}: rename or delete it`);
  }
  const [failure] = failures;
  if (failure !== undefined) {
    const where = `namespace ${failure.namespace}${andMore(failures.length - 1)}`;
    return draft(type, "False", "WriteFailed", `${where}: ${failure.message}`);
  }
  const matched = count(namespaces.matched, "namespace", "namespaces");
  return placed
    ? draft(type, "True", "Applied", `${count(networkPolicies, "policy", "policies")} in ${matched}`)
    : draft(type, "False", "Progressing", `${namespaces.applied} of ${matched} have their NetworkPolicies`);
}

function judgeEnforced({ outcome, enforcement }: StatusInput): ConditionDraft {
  if (enforcement === undefined) return notManaged();
  const type = "Enforced";
  const { nodes, degraded, enforced } = enforcement;
  if (degraded) {
    return draft(
      type,
      "False",
      "NodesFailing",
      nodes.failing.map(({ name, reason }) => `${name}: ${reason}`).join("; "),
    );
  }
  if (!outcome.placed) return draft(type, "False", "Progressing", "The NetworkPolicies are not all in place yet");
  if (nodes.desired === 0) return draft(type, "True", "Enforced", "No node has pods of this segment");
  const desired = count(nodes.desired, "node", "nodes");
  const unreachable = nodes.unreachable > 0 ? `; ${count(nodes.unreachable, "node", "nodes")} unreachable` : "";
  return enforced
    ? draft(type, "True", "Enforced", `Enforced on ${nodes.enforced} of ${desired}${unreachable}`)
    : draft(type, "False", "WaitingForNodes", `${nodes.enforced} of ${desired} have confirmed${unreachable}`);
}

function judgeReady(
  applied: ConditionDraft,
  enforced: ConditionDraft,
  enforcement: Enforcement | undefined,
): ConditionDraft {
  const type = "Ready";
  if (applied.status !== "True") return { ...applied, type };
  if (enforcement === undefined) {
    return draft(type, "True", "Applied", `${applied.message}; enforcement is left to the CNI`);
  }
  if (enforced.status !== "True") return { ...enforced, type };
  const { desired, enforced: confirmed } = enforcement.nodes;
  const where = desired === 0 ? "no pods yet" : `enforced on ${confirmed} of ${count(desired, "node", "nodes")}`;
  return draft(type, "True", "Enforced", `${applied.message}, ${where}`);
}

function progress(
  ready: ConditionDraft,
  applied: ConditionDraft,
  enforcement: Enforcement | undefined,
): readonly ConditionDraft[] {
  if (ready.status === "True") return [];
  // Something stands in the way and is tried again, as opposed to what simply is not done yet.
  const retrying = applied.status === "True" ? enforcement?.degraded === true : applied.reason !== "Progressing";
  return [draft("Reconciling", "True", retrying ? "ProgressingWithRetry" : "Progressing", ready.message)];
}

function degradation(enforced: ConditionDraft, enforcement: Enforcement | undefined): readonly ConditionDraft[] {
  return enforcement?.degraded === true ? [draft("Degraded", "True", "NodesFailing", enforced.message)] : [];
}

/**
 * What a reader should look at, though it does not keep the policy from being ready. The worst one gives the reason.
 */
function warnings({ outcome, tiers }: StatusInput): readonly ConditionDraft[] {
  const empty = tiers.filter(({ pods }) => pods === 0).map(({ name }) => name);
  const nowhere = outcome.namespaces.matched === 0;
  const found = [
    {
      reason: "NameConflict",
      message: `not ours: ${outcome.conflicts.join(", ")}`,
      holds: outcome.conflicts.length > 0,
    },
    {
      reason: "UnknownFacts",
      message: `not known yet: ${outcome.unknownFacts.join(", ")}`,
      holds: outcome.unknownFacts.length > 0,
    },
    { reason: "NoNamespaceMatches", message: "no namespace matches spec.namespaceSelector", holds: nowhere },
    {
      reason: "TierWithoutPods",
      message: `no pod matches tier ${empty.join(", ")}`,
      holds: !nowhere && empty.length > 0,
    },
  ].filter(({ holds }) => holds);
  const [worst] = found;
  if (worst === undefined) return [];
  return [draft("Warnings", "True", worst.reason, found.map(({ message }) => message).join("; "))];
}

function notManaged(): ConditionDraft {
  return draft(
    "Enforced",
    "Unknown",
    "NotManaged",
    "Enforcement is left to the cluster's CNI, which does not report it",
  );
}

function draft(type: string, status: ConditionDraft["status"], reason: string, message: string): ConditionDraft {
  return { type, status, reason, message };
}

function count(number: number, one: string, many: string): string {
  return `${number} ${number === 1 ? one : many}`;
}

function andMore(others: number): string {
  return others > 0 ? ` and ${others} more` : "";
}
