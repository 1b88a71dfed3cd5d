import { canonicalSelector, compare } from "../api/label-selector.ts";
import type { Direction, NetworkPolicySpec } from "../api/network-policy.ts";
import type { QuarantineLabel, SegmentPolicySpec, Tier } from "../api/segment-policy.ts";
import { dnsRule, draftPorts, draftRule, joined, ofRules, type Drafts } from "./draft-rules.ts";
import type { Facts } from "./facts.ts";
import type { Gap, Part, PartIdentity } from "./part.ts";
import { partName } from "./part-name.ts";
import { inQuarantine, outsideQuarantine } from "./quarantine.ts";
import { canonicalRules, distinct, type DraftRule } from "./rules.ts";
import { SegmentPeers } from "./segment-peers.ts";

const DIRECTIONS: readonly Direction[] = ["Ingress", "Egress"];
const NOTHING = ofRules();

/**
 * The NetworkPolicies that hold SegmentPolicy `policy` in its namespaces, in the order of roll-out. Deterministic:
 * equal policies give byte-identical parts, whatever the order of their tiers, rules, peers and ports.
 *
 * - `quarantine` cuts pods that carry the quarantine label off, in both directions;
 * - one part per tier holds its own rules, the mirror image of every rule of any tier that names it, and DNS;
 * - `default` denies the rest (`defaultDeny: AllPods`), DNS excepted.
 */
export function compile(policy: string, spec: SegmentPolicySpec, facts: Facts): readonly Part[] {
  const segment = new SegmentPeers(spec, facts.excludedNamespaces);
  const dns = spec.dns === "Allow" ? dnsRule(facts.dns) : NOTHING;
  const tiers = [...spec.tiers].toSorted((a, b) => compare(a.name, b.name));
  return [
    ...quarantinePart(policy, spec.quarantine),
    ...tiers.map((tier) => tierPart(policy, spec, tier, segment, facts, dns)),
    ...defaultPart(policy, spec, dns),
  ];
}

function quarantinePart(policy: string, quarantine: QuarantineLabel | undefined): readonly Part[] {
  if (quarantine === undefined) return [];
  const podSelector = inQuarantine(quarantine);
  // Both directions, whatever `policyTypes` says: quarantine is not a rule of the segment but its emergency brake.
  return [part({ policy, kind: "quarantine", podSelector }, ["Ingress", "Egress"], NOTHING, NOTHING)];
}

function tierPart(
  policy: string,
  spec: SegmentPolicySpec,
  tier: Tier,
  segment: SegmentPeers,
  facts: Facts,
  dns: Drafts,
): Part {
  const ingress = joined([
    ...tier.ingress.map((rule) => draftRule("ingress", rule, segment, facts)),
    mirrors(spec.tiers, "egress", tier.name, segment),
  ]);
  const egress = joined([
    ...tier.egress.map((rule) => draftRule("egress", rule, segment, facts)),
    mirrors(spec.tiers, "ingress", tier.name, segment),
    dns,
  ]);
  const podSelector = segment.podsOf(tier.name);
  const made = part({ policy, kind: "tier", tier: tier.name, podSelector }, spec.policyTypes, ingress, egress);
  return { ...made, ...(tier.namespaceSelector && { livesIn: canonicalSelector(tier.namespaceSelector) }) };
}

function defaultPart(policy: string, spec: SegmentPolicySpec, dns: Drafts): readonly Part[] {
  if (spec.defaultDeny === "TierPods") return [];
  const podSelector = outsideQuarantine({}, spec.quarantine);
  return [part({ policy, kind: "default", podSelector }, spec.policyTypes, NOTHING, dns)];
}

/**
 * The other half of every rule that names tier `named` in `direction`: a connection needs the client's egress as well
 * as the server's ingress, and with default-deny in both directions a one-sided rule would silently allow nothing.
 */
function mirrors(
  tiers: readonly Tier[],
  direction: "ingress" | "egress",
  named: string,
  segment: SegmentPeers,
): Drafts {
  const rules = tiers.flatMap((tier) =>
    tier[direction]
      .filter(({ peers }) => peers.some((peer) => peer.kind === "tier" && peer.tier === named))
      .map((rule): DraftRule => ({ peers: [segment.peerOf(tier.name)], ports: draftPorts(rule) })),
  );
  return ofRules(...rules);
}

function part(identity: PartIdentity, policyTypes: readonly Direction[], ingress: Drafts, egress: Drafts): Part {
  const controlled = DIRECTIONS.filter((direction) => policyTypes.includes(direction));
  const into = controlled.includes("Ingress") ? ingress : NOTHING;
  const outOf = controlled.includes("Egress") ? egress : NOTHING;
  const spec: NetworkPolicySpec = {
    podSelector: identity.podSelector,
    policyTypes: controlled,
    ingress: canonicalRules(into.rules).map((rule) => sided(rule, "from")),
    egress: canonicalRules(outOf.rules).map((rule) => sided(rule, "to")),
  };
  const { kind, tier } = identity;
  return {
    name: partName(identity),
    kind,
    ...(tier !== undefined && { tier }),
    spec,
    gaps: canonicalGaps([...into.gaps, ...outOf.gaps]),
    concerns: distinct([...into.concerns, ...outOf.concerns]),
  };
}

function canonicalGaps(gaps: readonly Gap[]): readonly Gap[] {
  const canonical = (gap: Gap): Gap =>
    gap.ports === undefined || gap.ports === "any" ? gap : { ...gap, ports: distinct(gap.ports) };
  return distinct(gaps.map(canonical));
}

function sided(rule: DraftRule, side: "from" | "to") {
  return { ...(rule.peers !== "any" && { [side]: rule.peers }), ...(rule.ports !== "any" && { ports: rule.ports }) };
}
