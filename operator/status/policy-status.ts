import { settleConditions, type ConditionDraft } from "../api/condition.ts";
import type { SegmentPolicy, SegmentPolicySpec, SegmentPolicyStatus } from "../api/segment-policy.ts";
import { AUDITING, auditOnly, auditText, NEEDS_ENFORCER, needsEnforcer } from "./audit-status.ts";
import { andMore, count, draft } from "./condition-draft.ts";
import type { Enforcement } from "./enforcement.ts";
import { warnings, type WarningInput } from "./warnings.ts";

type Mode = SegmentPolicySpec["mode"];

/** Namespaces that refuse, of one message. */
const MOST_NAMED = 5;

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
  /** `<namespace>/<name>` of NetworkPolicies from before that are being deleted, and that a finalizer still holds. */
  readonly leaving: readonly string[];
  readonly failures: readonly { readonly namespace: string; readonly message: string }[];
  /** The spec says so: nothing was written, whatever is missing. */
  readonly suspended: boolean;
  /** Facts that are not known yet, such as the address of the cluster's DNS. */
  readonly unknownFacts: readonly string[];
  /** Facts that were known and are not seen any more: the last known ones hold. */
  readonly staleFacts: readonly string[];
  readonly tooManyNodeAddresses: readonly string[];
  /** Pairs of tiers whose two sides name different ports. */
  readonly disagreements: readonly string[];
}

export interface StatusInput extends WarningInput {
  /** `undefined` = enforcement is left to the cluster's CNI. */
  readonly enforcement: Enforcement | undefined;
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
    survey: { tiers, untieredPods, quarantinedPods },
  } = input;
  return {
    ...status,
    namespaces: { matched, applied, summary: `${applied}/${matched}` },
    networkPolicies,
    ...(enforcement && { nodes: enforcement.nodes }),
    tiers,
    untieredPods,
    quarantinedPods,
  };
}

function drafts({ verdict }: SegmentPolicy, input: StatusInput): readonly ConditionDraft[] {
  if (!verdict.accepted) return refusal(verdict.reason, verdict.message, input.enforcement !== undefined);
  const accepted = draft("Accepted", "True", "Valid", "The spec makes sense");
  const { mode } = verdict.spec;
  const applied = judgeApplied(input.outcome, mode);
  const enforced = judgeEnforced(input, mode);
  const ready = judgeReady(applied, enforced, input, mode);
  return [
    ready,
    accepted,
    applied,
    enforced,
    ...progress(ready, applied, input),
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

function judgeApplied(outcome: Outcome, mode: Mode): ConditionDraft {
  const { conflicts, failures, namespaces, placed, networkPolicies, suspended } = outcome;
  const type = "PoliciesApplied";
  const [conflict] = conflicts;
  if (conflict !== undefined) {
    const text = `NetworkPolicy ${conflict}${andMore(conflicts.length - 1)} was not made by Tierwall and is left alone`;
    return draft(type, "False", "NameConflict", `${text}: rename or delete it`);
  }
  const [failure] = failures;
  if (failure !== undefined) {
    const others = failures.slice(1, MOST_NAMED).map(({ namespace }) => namespace);
    const rest = others.length === 0 ? "" : `; also ${others.join(", ")}${andMore(failures.length - MOST_NAMED)}`;
    return draft(type, "False", "WriteFailed", `namespace ${failure.namespace}: ${failure.message}${rest}`);
  }
  if (mode === "Audit") return judgeTakenAway(outcome);
  const matched = count(namespaces.matched, "namespace", "namespaces");
  if (placed) return draft(type, "True", "Applied", `${count(networkPolicies, "policy", "policies")} in ${matched}`);
  const held = heldText(outcome);
  if (suspended) {
    const text = `Suspended: what would be written is in ${namespaces.applied} of ${matched}, and nothing is written`;
    return draft(type, "False", "Suspended", `${text}${held}`);
  }
  const text = `NetworkPolicies are in place in ${namespaces.applied} of ${matched}`;
  return draft(type, "False", "Progressing", `${text}${held}`);
}

/** In mode Audit there is to be none. */
function judgeTakenAway(outcome: Outcome): ConditionDraft {
  const type = "PoliciesApplied";
  const { placed, suspended } = outcome;
  const held = heldText(outcome);
  if (placed) return draft(type, "True", "Applied", "mode: Audit writes no NetworkPolicy, and none is left");
  return suspended
    ? draft(type, "False", "Suspended", `Suspended: NetworkPolicies from before mode: Audit are left in force${held}`)
    : draft(type, "False", "Progressing", `NetworkPolicies from before mode: Audit are being taken away${held}`);
}

/** Whose finalizer it is does not come with what is watched; the object says. */
function heldText({ leaving }: Outcome): string {
  const [first] = leaving;
  if (first === undefined) return "";
  return `; a finalizer still holds NetworkPolicy ${first}${andMore(leaving.length - 1)}, which is being deleted`;
}

function judgeEnforced({ outcome, enforcement }: StatusInput, mode: Mode): ConditionDraft {
  if (enforcement === undefined) return notManaged();
  const confirmed = judgeConfirmed(outcome, enforcement);
  return mode === "Audit" ? auditOnly(confirmed, outcome, enforcement) : confirmed;
}

function judgeConfirmed(outcome: Outcome, enforcement: Enforcement): ConditionDraft {
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
  if (!outcome.placed) {
    const reason = outcome.suspended ? "Suspended" : "Progressing";
    return draft(type, "False", reason, "The NetworkPolicies are not all as they should be");
  }
  if (nodes.desired === 0) return draft(type, "True", "Enforced", "No node has pods of this segment");
  const desired = count(nodes.desired, "node", "nodes");
  const unreachable = nodes.unreachable > 0 ? `; ${count(nodes.unreachable, "node", "nodes")} unreachable` : "";
  return enforced
    ? draft(type, "True", "Enforced", `Enforced on ${nodes.enforced} of ${desired}${unreachable}`)
    : draft(type, "False", "WaitingForNodes", `Confirmed by ${nodes.enforced} of ${desired}${unreachable}`);
}

function judgeReady(
  applied: ConditionDraft,
  enforced: ConditionDraft,
  { outcome, enforcement }: StatusInput,
  mode: Mode,
): ConditionDraft {
  const type = "Ready";
  if (applied.status !== "True") return { ...applied, type, ...(outcome.suspended && { reason: "Suspended" }) };
  const done = (reason: string, message: string) =>
    outcome.suspended
      ? draft(type, "True", "Suspended", `Suspended, and up to date: ${message}`)
      : draft(type, "True", reason, message);
  if (mode === "Audit") {
    if (enforcement === undefined) return needsEnforcer();
    if (enforced.reason !== AUDITING) return { ...enforced, type };
    return done(AUDITING, `${auditText(outcome, enforcement)}; nothing is enforced`);
  }
  if (enforcement === undefined) return done("Applied", `${applied.message}; enforcement is left to the CNI`);
  if (enforced.status !== "True") return { ...enforced, type };
  const { desired, enforced: confirmed } = enforcement.nodes;
  const where = desired === 0 ? "no pods yet" : `enforced on ${confirmed} of ${count(desired, "node", "nodes")}`;
  return done("Enforced", `${applied.message}, ${where}`);
}

function progress(
  ready: ConditionDraft,
  applied: ConditionDraft,
  { outcome, enforcement }: StatusInput,
): readonly ConditionDraft[] {
  if (ready.status === "True") return [];
  if (ready.reason === NEEDS_ENFORCER) return [draft("Stalled", "True", NEEDS_ENFORCER, ready.message)];
  // Nothing will change by itself: only who suspended it can let it go on.
  if (outcome.suspended && applied.status !== "True") return [draft("Stalled", "True", "Suspended", ready.message)];
  // Something stands in the way and is tried again, as opposed to what simply is not done yet.
  const retrying = applied.status === "True" ? enforcement?.degraded === true : applied.reason !== "Progressing";
  return [draft("Reconciling", "True", retrying ? "ProgressingWithRetry" : "Progressing", ready.message)];
}

function degradation(enforced: ConditionDraft, enforcement: Enforcement | undefined): readonly ConditionDraft[] {
  return enforcement?.degraded === true ? [draft("Degraded", "True", "NodesFailing", enforced.message)] : [];
}

function notManaged(): ConditionDraft {
  return draft(
    "Enforced",
    "Unknown",
    "NotManaged",
    "Enforcement is left to the cluster's CNI, which does not report it",
  );
}
