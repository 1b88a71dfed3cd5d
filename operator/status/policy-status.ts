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

type Tone = "settled" | "reconciling" | "stalled";
interface Verdict {
  readonly ready: ConditionDraft;
  readonly tone: Tone;
  readonly reconcilingReason?: "Progressing" | "ProgressingWithRetry";
}

/**
 * The status to be seen with `kubectl get segpol`, in the form kstatus, Flux and Argo CD wait on: Ready always there,
 * Reconciling and Stalled only while True and never together, everything with the generation it speaks of.
 */
export function policyStatus(policy: SegmentPolicy, input: StatusInput, now: string): SegmentPolicyStatus {
  const { outcome, enforcement } = input;
  const accepted = acceptedCondition(policy);
  const applied = appliedCondition(policy, outcome);
  const enforced = enforcedCondition(policy, input);
  const { ready, tone, reconcilingReason } = readyVerdict(policy, input, applied, enforced);
  const drafts: ConditionDraft[] = [ready, accepted, applied, enforced];
  if (tone === "stalled") drafts.push({ ...ready, type: "Stalled", status: "True" });
  if (tone === "reconciling") drafts.push({ type: "Reconciling", status: "True", reason: reconcilingReason ?? "Progressing", message: ready.message });
  if (enforcement?.degraded === true) drafts.push({ ...enforced, type: "Degraded", status: "True", reason: "NodesFailing" });
  drafts.push(...warnings(input));
  const generation = policy.metadata.generation;
  const status: SegmentPolicyStatus = {
    observedGeneration: generation,
    conditions: settleConditions(drafts, policy.status.conditions, generation, now),
  };
  if (!policy.verdict.accepted) return status;
  const { matched, applied: done } = outcome.namespaces;
  return {
    ...status,
    namespaces: { matched, applied: done, summary: `${done}/${matched}` },
    networkPolicies: outcome.networkPolicies,
    ...(enforcement && { nodes: enforcement.nodes }),
    tiers: input.tiers,
  };
}

function acceptedCondition({ verdict }: SegmentPolicy): ConditionDraft {
  return verdict.accepted
    ? { type: "Accepted", status: "True", reason: "Valid", message: "The spec makes sense" }
    : { type: "Accepted", status: "False", reason: verdict.reason, message: verdict.message };
}

function appliedCondition(policy: SegmentPolicy, outcome: Outcome): ConditionDraft {
  const draft = (status: "True" | "False", reason: string, message: string): ConditionDraft => ({ type: "PoliciesApplied", status, reason, message });
  if (!policy.verdict.accepted) return draft("False", policy.verdict.reason, "Nothing of this generation was written; what was in force stays");
  const [conflict, ...others] = outcome.conflicts;
  if (conflict !== undefined) {
    const more = others.length > 0 ? ` and ${others.length} more` : "";
    return draft("False", "NameConflict", `NetworkPolicy ${conflict}${more} was not made by Tierwall and is left alone: rename or delete it`);
  }
  const [failure, ...rest] = outcome.failures;
  if (failure !== undefined) {
    const more = rest.length > 0 ? ` (and ${rest.length} more namespaces)` : "";
    return draft("False", "WriteFailed", `namespace ${failure.namespace}: ${failure.message}${more}`);
  }
  const { matched, applied } = outcome.namespaces;
  if (!outcome.placed) return draft("False", "Progressing", `${applied} of ${count(matched, "namespace")} have their NetworkPolicies`);
  return draft("True", "Applied", `${policies(outcome.networkPolicies)} in ${count(matched, "namespace")}`);
}

function enforcedCondition(policy: SegmentPolicy, { outcome, enforcement }: StatusInput): ConditionDraft {
  const draft = (status: ConditionDraft["status"], reason: string, message: string): ConditionDraft => ({ type: "Enforced", status, reason, message });
  if (enforcement === undefined) return draft("Unknown", "NotManaged", "Enforcement is left to the cluster's CNI, which does not report it");
  if (!policy.verdict.accepted) return draft("False", policy.verdict.reason, "This generation is not enforced; what was in force stays");
  const { nodes, degraded, enforced } = enforcement;
  const unreachable = nodes.unreachable > 0 ? `; ${count(nodes.unreachable, "node")} unreachable` : "";
  if (degraded) return draft("False", "NodesFailing", nodes.failing.map(({ name, reason }) => `${name}: ${reason}`).join("; "));
  if (!outcome.placed) return draft("False", "Progressing", "The NetworkPolicies are not all in place yet");
  if (!enforced) return draft("False", "WaitingForNodes", `${nodes.enforced} of ${count(nodes.desired, "node")} have confirmed${unreachable}`);
  if (nodes.desired === 0) return draft("True", "Enforced", "No node has pods of this segment");
  return draft("True", "Enforced", `Enforced on ${nodes.enforced} of ${count(nodes.desired, "node")}${unreachable}`);
}

function readyVerdict(policy: SegmentPolicy, { enforcement }: StatusInput, applied: ConditionDraft, enforced: ConditionDraft): Verdict {
  const ready = (status: "True" | "False", reason: string, message: string): ConditionDraft => ({ type: "Ready", status, reason, message });
  if (!policy.verdict.accepted) return { ready: ready("False", policy.verdict.reason, policy.verdict.message), tone: "stalled" };
  if (applied.status !== "True") {
    const retrying = applied.reason !== "Progressing";
    return { ready: ready("False", applied.reason, applied.message), tone: "reconciling", reconcilingReason: retrying ? "ProgressingWithRetry" : "Progressing" };
  }
  const where = applied.message;
  if (enforcement === undefined) return { ready: ready("True", "Applied", `${where}; enforcement is left to the CNI`), tone: "settled" };
  if (enforced.status === "True") {
    const { nodes } = enforcement;
    const suffix = nodes.desired === 0 ? "no pods yet" : `enforced on ${nodes.enforced} of ${count(nodes.desired, "node")}`;
    return { ready: ready("True", "Enforced", `${where}, ${suffix}`), tone: "settled" };
  }
  const retrying = enforcement.degraded;
  return { ready: ready("False", enforced.reason, enforced.message), tone: "reconciling", reconcilingReason: retrying ? "ProgressingWithRetry" : "Progressing" };
}

/** What a reader should look at, though it does not keep the policy from being ready. The worst one gives the reason. */
function warnings({ outcome, tiers }: StatusInput): readonly ConditionDraft[] {
  const found: { readonly reason: string; readonly message: string }[] = [];
  if (outcome.conflicts.length > 0) found.push({ reason: "NameConflict", message: `not ours: ${outcome.conflicts.join(", ")}` });
  if (outcome.unknownFacts.length > 0) found.push({ reason: "UnknownFacts", message: `not known yet: ${outcome.unknownFacts.join(", ")}` });
  const empty = tiers.filter(({ pods }) => pods === 0).map(({ name }) => name);
  if (outcome.namespaces.matched === 0) found.push({ reason: "NoNamespaceMatches", message: "no namespace matches spec.namespaceSelector" });
  else if (empty.length > 0) found.push({ reason: "TierWithoutPods", message: `no pod matches tier ${empty.join(", ")}` });
  const [worst] = found;
  if (worst === undefined) return [];
  return [{ type: "Warnings", status: "True", reason: worst.reason, message: found.map(({ message }) => message).join("; ") }];
}

function count(number: number, noun: string): string {
  return `${number} ${noun}${number === 1 ? "" : "s"}`;
}

function policies(number: number): string {
  return `${number} ${number === 1 ? "policy" : "policies"}`;
}
