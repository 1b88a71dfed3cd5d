import { canonicalJson } from "../api/canonical-json.ts";
import { canonicalSelector } from "../api/label-selector.ts";
import type { NetworkPolicyPeer, NetworkPolicyPort } from "../api/network-policy.ts";
import type { TierPeer, TierRule } from "../api/segment-policy.ts";
import type { DnsFacts, Facts } from "./facts.ts";
import type { FactConcern, Gap } from "./part.ts";
import type { DraftRule } from "./rules.ts";
import type { SegmentPeers } from "./segment-peers.ts";

/** What written rules come to, what is missing for want of a fact, and what is to be said of the facts. */
export interface Drafts {
  readonly rules: readonly DraftRule[];
  readonly gaps: readonly Gap[];
  readonly concerns: readonly FactConcern[];
}

type FactPeer = Extract<TierPeer, { readonly kind: "kubeAPIServer" | "nodes" }>;
type PlainPeer = Exclude<TierPeer, FactPeer | { readonly kind: "anywhere" }>;

const PROTOCOLS = ["TCP", "UDP"] as const;

/** One entry of a tier's `ingress` or `egress`. What stands for a fact becomes a rule of its own. */
export function draftRule(direction: Gap["direction"], rule: TierRule, segment: SegmentPeers, facts: Facts): Drafts {
  const ports = draftPorts(rule);
  // `anywhere` is no peer of a NetworkPolicy but the absence of peers.
  if (rule.peers.some(({ kind }) => kind === "anywhere")) return ofRules({ peers: "any", ports });
  const plain = rule.peers.filter(isPlain).map((peer) => plainPeer(peer, segment));
  return joined([
    plain.length > 0 ? ofRules({ peers: plain, ports }) : ofRules(),
    ...rule.peers.filter(isFact).map((peer) => factRule(direction, peer, ports, facts)),
  ]);
}

export function dnsRule({ peers, ports, unknown, stale }: DnsFacts): Drafts {
  const draft = ports.flatMap((port) => PROTOCOLS.map((protocol): NetworkPolicyPort => ({ protocol, port })));
  if (draft.length === 0) return ofRules();
  return {
    // Nobody to ask yet: no rule at all, since one without peers would allow everyone.
    rules: peers.length === 0 ? [] : [{ peers, ports: draft }],
    gaps: unknown.length === 0 ? [] : [{ direction: "egress", ports: draft }],
    concerns: [
      ...unknown.map((fact): FactConcern => ({ kind: "unknown", fact })),
      ...stale.map((fact): FactConcern => ({ kind: "stale", fact })),
    ],
  };
}

export function draftPorts({ ports }: TierRule): DraftRule["ports"] {
  return ports === "any"
    ? "any"
    : ports.map(({ protocol, port, endPort }) => ({ protocol, port, ...(endPort !== undefined && { endPort }) }));
}

export function joined(drafts: readonly Drafts[]): Drafts {
  return {
    rules: drafts.flatMap(({ rules }) => rules),
    gaps: drafts.flatMap(({ gaps }) => gaps),
    concerns: drafts.flatMap(({ concerns }) => concerns),
  };
}

export function ofRules(...rules: readonly DraftRule[]): Drafts {
  return { rules, gaps: [], concerns: [] };
}

function factRule(direction: Gap["direction"], peer: FactPeer, ports: DraftRule["ports"], facts: Facts): Drafts {
  if (peer.kind === "nodes") {
    const { blocks, stale, tooMany } = facts.nodes(peer.selector);
    const fact = `the addresses of the nodes ${canonicalJson(canonicalSelector(peer.selector))}`;
    if (tooMany === undefined) return ofFact({ direction, ports }, blocks, ports, fact, stale);
    const { rules, gaps } = ofFact({ direction, ports }, blocks, ports, fact);
    return { rules, gaps, concerns: [{ kind: "tooMany", fact: `${fact}: ${tooMany} blocks` }] };
  }
  const { apiServer } = facts;
  const fact = "the endpoints of Service default/kubernetes";
  const gap: Gap = { direction, ports: ports === "any" ? undefined : ports };
  return ofFact(gap, apiServer?.blocks, ports === "any" ? (apiServer?.ports ?? []) : ports, fact, apiServer?.stale);
}

/** A rule for the addresses of a fact, or the gap where it would stand. */
function ofFact(
  gap: Gap,
  blocks: readonly string[] | undefined,
  ports: DraftRule["ports"],
  fact: string,
  stale?: true,
): Drafts {
  if (blocks === undefined) return { rules: [], gaps: [gap], concerns: [{ kind: "unknown", fact }] };
  const { rules } = ofRules({ peers: blocks.map((cidr) => ({ ipBlock: { cidr } })), ports });
  return { rules, gaps: [], concerns: stale === true ? [{ kind: "stale", fact }] : [] };
}

function plainPeer(peer: PlainPeer, segment: SegmentPeers): NetworkPolicyPeer {
  switch (peer.kind) {
    case "tier":
      return segment.peerOf(peer.tier);
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

function isFact(peer: TierPeer): peer is FactPeer {
  return peer.kind === "kubeAPIServer" || peer.kind === "nodes";
}

function isPlain(peer: TierPeer): peer is PlainPeer {
  return !isFact(peer) && peer.kind !== "anywhere";
}
