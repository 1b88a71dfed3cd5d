import type { LabelRequirement, LabelSelector } from "../api/label-selector.ts";
import type { Labels } from "../api/meta.ts";
import type { Direction, NetworkPolicy } from "../api/network-policy.ts";
import type { Pod } from "../api/workload.ts";

/**
 * Whether the labels meet every requirement; an empty selector has none. Said once more than in api, because it is the
 * judge of that one too.
 */
export function labelsMatch({ matchLabels = {}, matchExpressions = [] }: LabelSelector, labels: Labels): boolean {
  const own = new Map(Object.entries(labels));
  return Object.entries(matchLabels).every(([key, value]) => own.get(key) === value)
    && matchExpressions.every((requirement) => holdsFor(requirement, own));
}

/**
 * Whether pods can be selected and be peers at all. A host network pod has its node's address; a finished one has none,
 * and what it had may already be another's.
 */
export function counts(pod: Pod): boolean {
  return !pod.hostNetwork && !pod.finished;
}

/** Whether a policy has a say about the pod's connections in this direction: a policy selects in its own namespace. */
export function isolates({ metadata, spec }: NetworkPolicy, pod: Pod, direction: Direction): boolean {
  return counts(pod) && metadata.namespace === pod.namespace && spec.policyTypes.includes(direction)
    && labelsMatch(spec.podSelector, pod.labels);
}

function holdsFor({ key, operator, values = [] }: LabelRequirement, labels: ReadonlyMap<string, string>): boolean {
  const value = labels.get(key);
  switch (operator) {
    case "In":
      return value !== undefined && values.includes(value);
    case "NotIn":
      return value === undefined || !values.includes(value);
    case "Exists":
      return value !== undefined;
    case "DoesNotExist":
      return value === undefined;
  }
}
