import type { SegmentPolicy, SegmentPolicySpec } from "../api/segment-policy.ts";
import { disagreements } from "../compile/disagreements.ts";
import type { FactConcern, Part } from "../compile/part.ts";
import type { Outcome } from "../status/policy-status.ts";

/** What is left to be said of a spec that makes sense. */
export function shortcomings(spec: SegmentPolicySpec, parts: readonly Part[]) {
  const facts = (kind: FactConcern["kind"]) => {
    const concerned = parts.flatMap(({ concerns }) => concerns.filter((concern) => concern.kind === kind));
    return [...new Set(concerned.map(({ fact }) => fact))];
  };
  return {
    unknownFacts: facts("unknown"),
    staleFacts: facts("stale"),
    tooManyNodeAddresses: facts("tooMany"),
    disagreements: disagreements(spec),
  };
}

/** Of a spec that makes none: nothing was done. */
export function refused(policy: SegmentPolicy): Outcome {
  return {
    generation: policy.metadata.generation,
    namespaces: { matched: 0, applied: 0 },
    networkPolicies: 0,
    suspended: false,
    placed: false,
    conflicts: [],
    leaving: [],
    failures: [],
    unknownFacts: [],
    staleFacts: [],
    tooManyNodeAddresses: [],
    disagreements: [],
  };
}
