import { canonicalJson } from "../api/canonical-json.ts";
import { selects } from "../api/label-selector.ts";
import {
  generatedFrom,
  type Direction,
  type NetworkPolicy,
  type NetworkPolicySpec,
} from "../api/network-policy.ts";
import type { SegmentPolicySpec, TierCount } from "../api/segment-policy.ts";
import { foreignPeerFindings } from "./own-pods.ts";
import { placePods, type PlacedPod, type SurveyedNamespace } from "./placed-pod.ts";

/** What the pods and other NetworkPolicies of a segment's namespaces mean for it. */
export interface SegmentSurvey {
  readonly tiers: readonly TierCount[];
  readonly untieredPods: number;
  readonly quarantinedPods: number;
  /** In words, each once. */
  readonly widenedBy: readonly string[];
  readonly stillTalking: readonly string[];
  readonly ownPods: readonly string[];
}

/** @param generated the parts, quarantine left out */
export function surveySegment(
  spec: SegmentPolicySpec,
  generated: readonly NetworkPolicySpec[],
  namespaces: readonly SurveyedNamespace[],
): SegmentSurvey {
  const placed = namespaces.flatMap((namespace) => placePods(spec, namespace));
  const count = (holds: (pod: PlacedPod) => boolean) => placed.filter((pod) => holds(pod)).length;
  const pods = new Map(spec.tiers.map(({ name }) => [name, 0]));
  for (const { tiers } of placed) for (const name of tiers) pods.set(name, (pods.get(name) ?? 0) + 1);
  return {
    tiers: [...pods].map(([name, number]) => ({ name, pods: number })),
    untieredPods: count(({ pod, quarantined, tiers }) => !pod.hostNetwork && !quarantined && tiers.length === 0),
    quarantinedPods: count(({ quarantined }) => quarantined),
    widenedBy: widenedBy(spec, generated, placed),
    stillTalking: stillTalking(placed),
    ownPods: foreignPeerFindings(spec, namespaces, placed),
  };
}

/** Other NetworkPolicies that allow the segment's isolated pods what not every part of the segment allows. */
function widenedBy(
  { policyTypes }: SegmentPolicySpec,
  generated: readonly NetworkPolicySpec[],
  placed: readonly PlacedPod[],
): readonly string[] {
  const [first, ...rest] = generated;
  const common = (direction: Direction) => {
    const texts = rulesOf(first, direction);
    return new Set(texts.filter((text) => rest.every((spec) => rulesOf(spec, direction).includes(text))));
  };
  const known = new Map(policyTypes.map((direction) => [direction, common(direction)]));
  const adds = ({ spec }: NetworkPolicy) =>
    policyTypes.some((direction) => rulesOf(spec, direction).some((text) => known.get(direction)?.has(text) !== true));
  const found = new Set<NetworkPolicy>();
  const looked = new Map<SurveyedNamespace, readonly NetworkPolicy[]>();
  for (const { pod, namespace, isolated } of placed) {
    if (!isolated) continue;
    const candidates = looked.get(namespace) ?? namespace.others.filter(adds);
    looked.set(namespace, candidates);
    for (const policy of candidates) if (selects(policy.spec.podSelector, pod.labels)) found.add(policy);
  }
  return [...found].map(policyText).toSorted();
}

function rulesOf(spec: NetworkPolicySpec | undefined, direction: Direction): readonly string[] {
  if (spec === undefined || !spec.policyTypes.includes(direction)) return [];
  const rules = direction === "Ingress" ? spec.ingress : spec.egress;
  return rules.map((rule) => canonicalJson(rule));
}

/** Pods in quarantine that something else still lets talk. */
function stillTalking(placed: readonly PlacedPod[]): readonly string[] {
  return placed
    .filter(({ quarantined }) => quarantined)
    .flatMap(({ pod, namespace }) => {
      const name = `${pod.namespace}/${pod.name}`;
      if (pod.hostNetwork) return [`pod ${name} is on the host network and cannot be cut off`];
      const letting = namespace.others.filter(
        ({ spec }) => spec.ingress.length + spec.egress.length > 0 && selects(spec.podSelector, pod.labels),
      );
      return letting.map((policy) => `pod ${name} through ${policyText(policy)}`);
    })
    .toSorted();
}

function policyText(policy: NetworkPolicy): string {
  const { namespace, name } = policy.metadata;
  const segment = generatedFrom(policy);
  return `NetworkPolicy ${namespace}/${name}${segment === undefined ? "" : ` of SegmentPolicy ${segment}`}`;
}
