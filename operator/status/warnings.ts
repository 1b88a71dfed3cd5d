import type { ConditionDraft } from "../api/condition.ts";
import type { SegmentSurvey } from "./segment-survey.ts";
import type { Outcome } from "./policy-status.ts";

/** What the last reconcile and a look at the segment's pods have shown. */
export interface WarningInput {
  readonly outcome: Outcome;
  readonly survey: SegmentSurvey;
  /** NetworkPolicies in the segment's namespaces that are not understood, in words. */
  readonly unreadable: readonly string[];
  /** Pods that are nobody's peers because their address makes no sense, in words. */
  readonly addressless: readonly string[];
}

const MOST_NAMED = 5;

/**
 * What a reader should look at, though it does not keep the policy from being ready. The worst one gives the reason:
 * what keeps parts from being written, then what passes though it should not, then what does not pass though it should.
 */
export function warnings({ outcome, survey, unreadable, addressless }: WarningInput): readonly ConditionDraft[] {
  const nowhere = outcome.namespaces.matched === 0;
  const empty = nowhere ? [] : survey.tiers.filter(({ pods }) => pods === 0);
  const found = [
    finding("NameConflict", "not ours", outcome.conflicts),
    finding("QuarantinedStillTalks", "in quarantine and not cut off", survey.stillTalking),
    finding("WidenedByOthers", "pods of this segment are allowed more by", survey.widenedBy),
    finding("UnreadableNetworkPolicy", "understood in part only", unreadable),
    finding("UnknownFacts", "not known yet", [...outcome.unknownFacts, ...addressless]),
    finding("UnknownFacts", "not seen any more, so what was last known holds", outcome.staleFacts),
    finding("TooManyNodeAddresses", "too many, so what was stays; set nodeCIDRs", outcome.tooManyNodeAddresses),
    finding("NoNamespaceMatches", "", nowhere ? ["no namespace matches spec.namespaceSelector"] : []),
    finding("OwnPodsAsForeignPeer", "", survey.ownPods),
    finding("RulesDisagree", "both sides name different ports, and all of them are open", outcome.disagreements),
    finding("TierWithoutPods", "", empty.map(({ name }) => `no pod matches tier ${name}`)),
  ].filter(({ message }) => message !== "");
  const [worst] = found;
  if (worst === undefined) return [];
  const message = found.map(({ message: text }) => text).join("; ");
  return [{ type: "Warnings", status: "True", reason: worst.reason, message }];
}

/** With an empty message where there is nothing to say. */
function finding(reason: string, what: string, items: readonly string[]) {
  if (items.length === 0) return { reason, message: "" };
  const others = items.length - MOST_NAMED;
  const text = `${items.slice(0, MOST_NAMED).join(", ")}${others > 0 ? ` and ${others} more` : ""}`;
  return { reason, message: what === "" ? text : `${what}: ${text}` };
}
