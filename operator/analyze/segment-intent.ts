import type { LabelSelector } from "../api/label-selector.ts";
import type { Labels } from "../api/meta.ts";
import type { Direction, NetworkPolicyPeer, NetworkPolicyPort } from "../api/network-policy.ts";
import type { SegmentPolicySpec, Tier, TierPeer, TierRule } from "../api/segment-policy.ts";
import type { Namespace, Pod } from "../api/workload.ts";
import { bitsOf, type Bits } from "./address.ts";
import type { Cluster } from "./cluster.ts";
import { matchRule, type PeersAndPorts, type Question } from "./rule-match.ts";
import { counts, labelsMatch } from "./selection.ts";

/** What rules of a SegmentPolicy may name beside pods and blocks. What is not listed matches nothing. */
export interface Surroundings {
  /** Namespaces that are of no segment. */
  readonly excludedNamespaces: readonly string[];
  readonly dns: { readonly peers: readonly NetworkPolicyPeer[]; readonly ports: readonly number[] };
  readonly apiServer: { readonly addresses: readonly string[]; readonly ports: readonly NetworkPolicyPort[] };
  /** `addresses`: all that packets of the node may carry. */
  readonly nodes: readonly { readonly labels: Labels; readonly addresses: readonly string[] }[];
}

/** A connection as one of its ends sees it; `own` is the pod at that end. */
export interface Side extends Question {
  readonly direction: Direction;
  readonly own: Pod;
}

const FIELD = { Ingress: "ingress", Egress: "egress" } as const;
const OPPOSITE = { Ingress: "egress", Egress: "ingress" } as const;

/** What a SegmentPolicy says of a connection, read from what its author wrote and from nothing that is made of it. */
export class SegmentIntent {
  readonly #spec: SegmentPolicySpec;
  readonly #surroundings: Surroundings;
  readonly #homes: ReadonlyMap<string, Namespace>;

  constructor(spec: SegmentPolicySpec, cluster: Pick<Cluster, "namespaces">, surroundings: Surroundings) {
    this.#spec = spec;
    this.#surroundings = surroundings;
    const { excludedNamespaces } = surroundings;
    const homes = cluster.namespaces.filter(
      ({ name, labels }) => !excludedNamespaces.includes(name) && labelsMatch(spec.namespaceSelector, labels),
    );
    this.#homes = new Map(homes.map((namespace) => [namespace.name, namespace]));
  }

  /** Whether the pod's connections in that direction are for the segment to judge. Quarantine is not looked at. */
  governs(pod: Pod, direction: Direction): boolean {
    if (!counts(pod) || !this.#homes.has(pod.namespace) || !this.#spec.policyTypes.includes(direction)) return false;
    return this.#spec.defaultDeny === "AllPods" || this.tiersOf(pod).length > 0;
  }

  /** The tiers that the pod is in. */
  tiersOf(pod: Pod): readonly Tier[] {
    const home = this.#homes.get(pod.namespace);
    if (home === undefined || !counts(pod)) return [];
    const livesHere = (selector: LabelSelector | undefined) =>
      selector === undefined || labelsMatch(selector, home.labels);
    return this.#spec.tiers.filter(
      ({ podSelector, namespaceSelector }) => livesHere(namespaceSelector) && labelsMatch(podSelector, pod.labels),
    );
  }

  /** What the segment says to `side.own`, which it governs: by a rule of a tier, by one that names it, or by DNS. */
  allows(side: Side): boolean {
    const { direction, own } = side;
    if (direction === "Egress" && this.#spec.dns === "Allow" && this.#isDns(side)) return true;
    return this.tiersOf(own).some(
      (tier) =>
        tier[FIELD[direction]].some((rule) => this.#ruleAllows(rule, side)) || this.#mirrorAllows(tier.name, side),
    );
  }

  #isDns(side: Side): boolean {
    const { peers, ports } = this.#surroundings.dns;
    const open = ports.flatMap((port) => (["TCP", "UDP"] as const).map((protocol) => ({ protocol, port })));
    return peers.length > 0 && matches({ peers, ports: [] }, side) && portsAllow(open, side);
  }

  /** A rule of the other end's tier that names this one opens both ends. */
  #mirrorAllows(name: string, side: Side): boolean {
    const other = side.peer.pod;
    if (other === undefined || !this.#together(side.own, other)) return false;
    const rules = this.tiersOf(other).flatMap((tier) => tier[OPPOSITE[side.direction]]);
    return rules
      .filter(({ peers }) => peers.some((peer) => peer.kind === "tier" && peer.tier === name))
      .some(({ ports }) => portsAllow(ports, side));
  }

  #ruleAllows({ peers, ports }: TierRule, side: Side): boolean {
    return peers.some((peer) => {
      // Without ports of its own, a rule to the API server means the API server's.
      const own = peer.kind === "kubeAPIServer" && ports === "any" ? this.#surroundings.apiServer.ports : ports;
      return this.#isPeer(peer, side) && portsAllow(own, side);
    });
  }

  #isPeer(peer: TierPeer, side: Side): boolean {
    const { bits, pod: other } = side.peer;
    const { apiServer, nodes } = this.#surroundings;
    switch (peer.kind) {
      case "anywhere":
        return true;
      case "tier":
        return other !== undefined && this.#together(side.own, other)
          && this.tiersOf(other).some(({ name }) => name === peer.tier);
      case "pods": {
        const { kind: _, ...selectors } = peer;
        return matches({ peers: [selectors], ports: [] }, side);
      }
      case "ipBlock":
        return matches({ peers: [{ ipBlock: peer.ipBlock }], ports: [] }, side);
      case "kubeAPIServer":
        return listed(apiServer.addresses, bits);
      case "nodes":
        return nodes.some(({ labels, addresses }) => labelsMatch(peer.selector, labels) && listed(addresses, bits));
    }
  }

  /** With `boundary: Namespace` the tiers of two namespaces do not know each other. */
  #together(a: Pod, b: Pod): boolean {
    return this.#spec.boundary === "Segment" || a.namespace === b.namespace;
  }
}

function matches(rule: PeersAndPorts, side: Side): boolean {
  return matchRule(rule, side.own.namespace, side) !== undefined;
}

/** An empty list allows nothing here; only in a NetworkPolicy it means any. */
function portsAllow(ports: "any" | readonly NetworkPolicyPort[], side: Side): boolean {
  return ports === "any" || (ports.length > 0 && matches({ peers: [], ports }, side));
}

function listed(addresses: readonly string[], bits: Bits): boolean {
  return addresses.some((address) => bitsOf(address) === bits);
}
