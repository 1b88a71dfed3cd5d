import { API_VERSION } from "../api/meta.ts";
import type { SegmentPolicy, SegmentPolicyStatus } from "../api/segment-policy.ts";
import type { EventRecorder } from "../kube/events.ts";
import type { Outcome } from "../status/policy-status.ts";
import type { Metrics } from "../telemetry/metrics.ts";

/** Tells the world of turns in a SegmentPolicy's life, by Events and metrics: each turn once, also over restarts. */
export class PolicyAnnouncer {
  readonly #events: EventRecorder;
  readonly #metrics: Metrics;

  constructor(events: EventRecorder, metrics: Metrics) {
    this.#events = events;
    this.#metrics = metrics;
  }

  /** `before` is the outcome of the reconcile before; after a restart the status tells what has been announced. */
  outcome(policy: SegmentPolicy, before: Outcome | undefined, outcome: Outcome): void {
    const wasKnown = (conflict: string) =>
      before === undefined ? warnsOf(policy, conflict) : before.conflicts.includes(conflict);
    const conflicts = outcome.conflicts.filter((conflict) => !wasKnown(conflict));
    if (conflicts.length > 0) {
      this.#record(policy, "Warning", "NameConflict", `not made by Tierwall and left alone: ${conflicts.join(", ")}`);
    }
    const wasPlaced =
      before === undefined ? saysApplied(policy) : before.placed && before.generation === outcome.generation;
    if (outcome.placed && !wasPlaced) {
      const {
        networkPolicies,
        namespaces: { matched },
      } = outcome;
      const where = `${matched} ${matched === 1 ? "namespace" : "namespaces"}`;
      const text = isAudit(policy)
        ? `mode: Audit, so no NetworkPolicy is left in ${where}`
        : `${networkPolicies} NetworkPolicies in ${where}`;
      this.#record(policy, "Normal", "PoliciesApplied", `generation ${outcome.generation}: ${text}`);
    }
  }

  /** `policy` carries the status before. */
  status(policy: SegmentPolicy, status: SegmentPolicyStatus): void {
    this.#metrics.policyReady.set({ policy: policy.metadata.name }, isTrue(status, "Ready") ? 1 : 0);
    const degraded = status.conditions.find(({ type }) => type === "Degraded");
    if (degraded === undefined || isTrue(policy.status, "Degraded")) return;
    this.#record(policy, "Warning", "EnforcementDegraded", degraded.message);
  }

  drift(policy: SegmentPolicy, namespace: string, names: readonly string[]): void {
    this.#metrics.driftCorrections.inc(names.length);
    const text = `${namespace}: somebody changed ${names.join(", ")}; it is being put back`;
    this.#record(policy, "Warning", "DriftCorrected", text);
  }

  gone(policy: string): void {
    this.#metrics.policyReady.remove({ policy });
  }

  #record({ metadata }: SegmentPolicy, type: "Normal" | "Warning", reason: string, message: string): void {
    const regarding = { apiVersion: API_VERSION, kind: "SegmentPolicy", name: metadata.name, uid: metadata.uid };
    this.#events.record({ regarding, type, reason, message });
  }
}

function isAudit({ verdict }: SegmentPolicy): boolean {
  return verdict.accepted && verdict.spec.mode === "Audit";
}

function saysApplied({ metadata, status }: SegmentPolicy): boolean {
  const applied = status.conditions.find(({ type }) => type === "PoliciesApplied");
  return applied?.status === "True" && applied.observedGeneration === metadata.generation;
}

function warnsOf({ status }: SegmentPolicy, conflict: string): boolean {
  return status.conditions.some(({ type, message }) => type === "Warnings" && message.includes(conflict));
}

function isTrue({ conditions }: SegmentPolicyStatus, type: string): boolean {
  return conditions.find((condition) => condition.type === type)?.status === "True";
}
