import { selects } from "../api/label-selector.ts";
import type { Labels } from "../api/meta.ts";
import type { NetworkPolicy } from "../api/network-policy.ts";
import type { QuarantineLabel, SegmentPolicySpec, Tier } from "../api/segment-policy.ts";
import type { Pod } from "../api/workload.ts";

/** One namespace of the segment. */
export interface SurveyedNamespace {
  readonly name: string;
  readonly labels: Labels;
  readonly pods: readonly Pod[];
  /** Its NetworkPolicies that were not generated from this SegmentPolicy. */
  readonly others: readonly NetworkPolicy[];
}

/** A pod where it stands: what of the segment applies to it. */
export interface PlacedPod {
  readonly pod: Pod;
  readonly namespace: SurveyedNamespace;
  readonly quarantined: boolean;
  /** Names; none for pods that are quarantined or on the host network: nothing selects those. */
  readonly tiers: readonly string[];
  /** A part other than quarantine isolates it. */
  readonly isolated: boolean;
}

/** The namespace's pods but for finished ones: their address may already be another pod's. */
export function placePods(spec: SegmentPolicySpec, namespace: SurveyedNamespace): readonly PlacedPod[] {
  const tiers = spec.tiers.filter((tier) => livesIn(tier, namespace));
  return namespace.pods
    .filter(({ finished }) => !finished)
    .map((pod) => {
      const quarantined = carries(pod.labels, spec.quarantine);
      const selectable = !pod.hostNetwork && !quarantined;
      const own = selectable ? tiers.filter(({ podSelector }) => selects(podSelector, pod.labels)) : [];
      const isolated = selectable && (spec.defaultDeny === "AllPods" || own.length > 0);
      return { pod, namespace, quarantined, tiers: own.map(({ name }) => name), isolated };
    });
}

export function livesIn({ namespaceSelector }: Tier, namespace: SurveyedNamespace): boolean {
  return namespaceSelector === undefined || selects(namespaceSelector, namespace.labels);
}

function carries(labels: Labels, quarantine: QuarantineLabel | undefined): boolean {
  if (quarantine === undefined || !Object.hasOwn(labels, quarantine.key)) return false;
  return quarantine.value === undefined || labels[quarantine.key] === quarantine.value;
}
