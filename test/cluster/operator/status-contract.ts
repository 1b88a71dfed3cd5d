import assert from "node:assert/strict";
import { kstatus, type KStatus } from "./kstatus.ts";

export interface StatusCondition {
  readonly type: string;
  readonly status: string;
  readonly reason: string;
  readonly message: string;
  readonly observedGeneration?: number;
  readonly lastTransitionTime: string;
}

/** A SegmentPolicy as the API server shows it. */
export interface ShownPolicy {
  readonly metadata: {
    readonly name: string; readonly uid: string; readonly generation: number; readonly deletionTimestamp?: string;
  };
  readonly status: ShownStatus;
}

export interface ShownStatus {
  readonly observedGeneration: number;
  readonly conditions?: readonly StatusCondition[];
  readonly namespaces?: { readonly matched: number; readonly applied: number; readonly summary: string };
  readonly networkPolicies?: number;
  readonly tiers?: readonly { readonly name: string; readonly pods: number }[];
  readonly untieredPods?: number;
  readonly quarantinedPods?: number;
}

const RFC_3339 = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/;

/**
 * What tools that wait on a status rely on. `previous` is the status shown before, of the same object.
 * @throws AssertionError
 */
export function assertStatusContract({ metadata, status }: ShownPolicy, previous?: ShownPolicy): void {
  const { observedGeneration, conditions = [] } = status;
  // The schema's default: nobody has looked at it yet, and it must not pass for healthy.
  if (observedGeneration === -1) {
    assert.notEqual(kstatus({ metadata, status }), "Current");
    return assert.deepEqual(conditions, []);
  }
  const text = `${metadata.name}: ${JSON.stringify(status)}`;
  assert.ok(observedGeneration <= metadata.generation, `a generation of the future: ${text}`);
  const byType = new Map(conditions.map((condition) => [condition.type, condition]));
  assert.equal(byType.size, conditions.length, `a condition twice: ${text}`);
  for (const type of ["Ready", "Accepted", "PoliciesApplied", "Enforced"]) {
    assert.ok(byType.has(type), `no ${type}: ${text}`);
  }
  for (const type of ["Reconciling", "Stalled", "Degraded", "Warnings"]) {
    assert.ok((byType.get(type)?.status ?? "True") === "True", `${type} is there and not True: ${text}`);
  }
  assert.ok(!(byType.has("Reconciling") && byType.has("Stalled")), `Reconciling and Stalled: ${text}`);
  const ready = byType.get("Ready")?.status;
  assert.ok(ready !== "Unknown" || byType.has("Reconciling"), `Ready=Unknown without Reconciling: ${text}`);
  const busy = byType.has("Reconciling") || byType.has("Stalled");
  assert.equal(ready === "True", !busy, `Ready and still busy, or neither: ${text}`);
  const expected: KStatus = byType.has("Stalled") ? "Failed" : ready === "True" ? "Current" : "InProgress";
  const { deletionTimestamp: _, ...alive } = metadata;
  const seen = { metadata: { ...alive, generation: observedGeneration }, status };
  assert.equal(kstatus(seen), expected, `tools take it for something else: ${text}`);
  // Only a change of the spec helps: it is refused, it says itself that nothing is to be done, or nobody can do it.
  const given = byType.get("Stalled")?.reason ?? "";
  const stuck = byType.get("Accepted")?.status === "False" || ["Suspended", "AuditNeedsEnforcer"].includes(given);
  assert.equal(byType.has("Stalled"), stuck, `Stalled for what may mend itself, or the other way round: ${text}`);
  const earlierGeneration = previous?.status.observedGeneration ?? -1;
  assert.ok(observedGeneration >= earlierGeneration, `an older generation than before: ${text}`);
  const before = new Map(previous?.status.conditions?.map((condition) => [condition.type, condition]));
  for (const { type, status: now, observedGeneration: of, reason, message, lastTransitionTime } of conditions) {
    assert.match(lastTransitionTime, RFC_3339, `${type} has no time: ${text}`);
    assert.notEqual(message, "", `${type} says nothing: ${text}`);
    assert.equal(of, observedGeneration, `${type} speaks of another generation: ${text}`);
    assert.match(reason, /^[A-Z][A-Za-z]+$/, `${type} has no reason: ${text}`);
    const earlier = before.get(type);
    if (earlier === undefined) continue;
    const since = earlier.lastTransitionTime;
    if (earlier.status === now) assert.equal(lastTransitionTime, since, `${type} has a new time only: ${text}`);
    else assert.ok(lastTransitionTime >= since, `${type} went back in time: ${text}`);
  }
}
