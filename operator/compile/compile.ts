import { bothSelectors, canonicalSelector, compare, type LabelSelector } from "../api/label-selector.ts";
import type { Direction, NetworkPolicyPeer, NetworkPolicyPort, NetworkPolicySpec } from "../api/network-policy.ts";
import type { QuarantineLabel, SegmentPolicySpec, Tier, TierPeer, TierRule } from "../api/segment-policy.ts";
import type { DnsFacts, Facts } from "./facts.ts";
import type { Part, PartIdentity } from "./part.ts";
import { partName } from "./part-name.ts";
import { canonicalRules, type DraftRule } from "./rules.ts";

const DIRECTIONS: readonly Direction[] = ["Ingress", "Egress"];

/**
 * The NetworkPolicies that hold SegmentPolicy `policy` in one namespace, in the order of roll-out. Deterministic: equal
 * policies give byte-identical parts, whatever the order of their tiers, rules, peers and ports.
 *
 * - `quarantine` cuts pods that carry the quarantine label off, in both directions;
 * - one part per tier holds its own rules, the mirror image of every rule of any tier that names it, and DNS;
 * - `default` denies the rest (`defaultDeny: AllPods`), DNS excepted.
 */
export function compile(policy: string, spec: SegmentPolicySpec, facts: Facts): readonly Part[] {
  const dns = spec.dns === "Allow" ? dnsRules(facts.dns) : [];
  const tierSelectors = new Map(
    spec.tiers.map((tier) => [tier.name, outsideQuarantine(tier.podSelector, spec.quarantine)]),
  );
  const tiers = [...spec.tiers].toSorted((a, b) => compare(a.name, b.name));
  return [
    ...quarantinePart(policy, spec.quarantine),
    ...tiers.map((tier) => tierPart(policy, spec, tier, tierSelectors, dns)),
    ...defaultPart(policy, spec, dns),
  ];
}

function quarantinePart(policy: string, quarantine: QuarantineLabel | undefined): readonly Part[] {
  if (quarantine === undefined) return [];
  const { key, value } = quarantine;
  const podSelector: LabelSelector =
    value === undefined ? { matchExpressions: [{ key, operator: "Exists" }] } : { matchLabels: { [key]: value } };
  // Both directions, whatever `policyTypes` says: quarantine is not a rule of the segment but its emergency brake.
  return [part({ policy, kind: "quarantine", podSelector }, ["Ingress", "Egress"], [], [])];
}

function tierPart(
  policy: string,
  spec: SegmentPolicySpec,
  tier: Tier,
  selectors: ReadonlyMap<string, LabelSelector>,
  dns: readonly DraftRule[],
): Part {
  const own = (rule: TierRule): DraftRule => ({ peers: draftPeers(rule, selectors), ports: draftPorts(rule) });
  const ingress = [...tier.ingress.map(own), ...mirrors(spec.tiers, "egress", tier.name, selectors)];
  const egress = [...tier.egress.map(own), ...mirrors(spec.tiers, "ingress", tier.name, selectors), ...dns];
  const podSelector = selectorOf(tier.name, selectors);
  return part({ policy, kind: "tier", tier: tier.name, podSelector }, spec.policyTypes, ingress, egress);
}

function defaultPart(policy: string, spec: SegmentPolicySpec, dns: readonly DraftRule[]): readonly Part[] {
  if (spec.defaultDeny === "TierPods") return [];
  const podSelector = outsideQuarantine({}, spec.quarantine);
  return [part({ policy, kind: "default", podSelector }, spec.policyTypes, [], dns)];
}

/**
 * The other half of every rule that names tier `named` in `direction`: a connection needs the client's egress as well
 * as the server's ingress, and with default-deny in both directions a one-sided rule would silently allow nothing.
 */
function mirrors(
  tiers: readonly Tier[],
  direction: "ingress" | "egress",
  named: string,
  selectors: ReadonlyMap<string, LabelSelector>,
): readonly DraftRule[] {
  return tiers.flatMap((tier) =>
    tier[direction]
      .filter(({ peers }) => peers.some((peer) => peer.kind === "tier" && peer.tier === named))
      .map((rule): DraftRule => ({
        peers: [{ podSelector: selectorOf(tier.name, selectors) }],
        ports: draftPorts(rule),
      })),
  );
}

/** `anywhere` is no peer of a NetworkPolicy but the absence of peers. */
function draftPeers({ peers }: TierRule, selectors: ReadonlyMap<string, LabelSelector>): DraftRule["peers"] {
  const restricted = peers.filter((peer) => peer.kind !== "anywhere");
  return restricted.length < peers.length ? "any" : restricted.map((peer) => networkPolicyPeer(peer, selectors));
}

function networkPolicyPeer(
  peer: Exclude<TierPeer, { readonly kind: "anywhere" }>,
  selectors: ReadonlyMap<string, LabelSelector>,
): NetworkPolicyPeer {
  switch (peer.kind) {
    case "tier":
      return { podSelector: selectorOf(peer.tier, selectors) };
    case "pods": {
      const { podSelector, namespaceSelector } = peer;
      return {
        ...(podSelector && { podSelector: canonicalSelector(podSelector) }),
        ...(namespaceSelector && { namespaceSelector: canonicalSelector(namespaceSelector) }),
      };
    }
    case "ipBlock": {
      const { cidr, except = [] } = peer.ipBlock;
      return { ipBlock: { cidr, ...(except.length > 0 && { except: [...new Set(except)].toSorted() }) } };
    }
  }
}

/** @throws Error for an undeclared tier: parsing has refused those, so it is a bug here */
function selectorOf(tier: string, selectors: ReadonlyMap<string, LabelSelector>): LabelSelector {
  const selector = selectors.get(tier);
  if (selector === undefined) throw new Error(`tier ${tier} is not declared`);
  return selector;
}

/** NetworkPolicies only add up, so a quarantined pod is cut off only if every other selector leaves it out. */
function outsideQuarantine(selector: LabelSelector, quarantine: QuarantineLabel | undefined): LabelSelector {
  if (quarantine === undefined) return canonicalSelector(selector);
  const { key, value } = quarantine;
  return bothSelectors(selector, {
    matchExpressions: [
      value === undefined ? { key, operator: "DoesNotExist" } : { key, operator: "NotIn", values: [value] },
    ],
  });
}

function dnsRules({ peers, ports }: DnsFacts): readonly DraftRule[] {
  const protocols = ["TCP", "UDP"] as const;
  // Nobody to ask yet: no rule at all, since one without peers would allow everyone.
  if (peers.length === 0 || ports.length === 0) return [];
  return [
    { peers, ports: ports.flatMap((port) => protocols.map((protocol): NetworkPolicyPort => ({ protocol, port }))) },
  ];
}

function draftPorts({ ports }: TierRule): DraftRule["ports"] {
  return ports === "any"
    ? "any"
    : ports.map(({ protocol, port, endPort }) => ({ protocol, port, ...(endPort !== undefined && { endPort }) }));
}

function part(
  identity: PartIdentity,
  policyTypes: readonly Direction[],
  ingress: readonly DraftRule[],
  egress: readonly DraftRule[],
): Part {
  const spec: NetworkPolicySpec = {
    podSelector: identity.podSelector,
    policyTypes: DIRECTIONS.filter((direction) => policyTypes.includes(direction)),
    ingress: policyTypes.includes("Ingress") ? canonicalRules(ingress).map((rule) => sided(rule, "from")) : [],
    egress: policyTypes.includes("Egress") ? canonicalRules(egress).map((rule) => sided(rule, "to")) : [],
  };
  return {
    name: partName(identity),
    kind: identity.kind,
    ...(identity.tier !== undefined && { tier: identity.tier }),
    spec,
  };
}

function sided(rule: DraftRule, side: "from" | "to") {
  return { ...(rule.peers !== "any" && { [side]: rule.peers }), ...(rule.ports !== "any" && { ports: rule.ports }) };
}
