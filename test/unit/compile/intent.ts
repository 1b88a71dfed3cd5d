import { BlockList, isIPv6 } from "node:net";

import type { LabelSelector } from "../../../operator/api/label-selector.ts";
import type { Labels } from "../../../operator/api/meta.ts";
import type { IPBlock, NetworkPolicyPeer, NetworkPolicyPort, Protocol } from "../../../operator/api/network-policy.ts";
import type { SegmentPolicySpec, Tier, TierPeer, TierPort, TierRule } from "../../../operator/api/segment-policy.ts";
import type { Namespace, Pod } from "../../../operator/api/workload.ts";

/*
 * What a SegmentPolicy means, said a second time and slowly, straight from what the user wrote: no NetworkPolicies, no
 * mirrors, no names. It is what compile is checked against, so it imports types of operator/api and nothing else.
 */

/** A cluster with one SegmentPolicy in it. Everything about it is known. */
export interface World {
  readonly namespaces: readonly Namespace[];
  readonly pods: readonly Pod[];
  readonly excludedNamespaces: readonly string[];
  readonly dns: { readonly peers: readonly NetworkPolicyPeer[]; readonly ports: readonly number[] };
  readonly apiServer: { readonly addresses: readonly string[]; readonly ports: readonly NetworkPolicyPort[] };
  readonly nodes: readonly { readonly labels: Labels; readonly addresses: readonly string[] }[];
}

export interface Probe {
  readonly source: string;
  readonly destination: string;
  readonly protocol: Protocol | "ICMP";
  readonly port?: number;
}

/** One end of a connection, seen from the other. */
interface End {
  readonly address: string;
  /** `undefined` for addresses that are no pod's of its own. */
  readonly pod: Pod | undefined;
}

/** What the user of this world wants. */
export class Intent {
  readonly #spec: SegmentPolicySpec;
  readonly #world: World;

  constructor(spec: SegmentPolicySpec, world: World) {
    this.#spec = spec;
    this.#world = world;
  }

  /** Whether this connection is to come about. */
  wants(probe: Probe): boolean {
    const client = this.#end(probe.source);
    const server = this.#end(probe.destination);
    if (client.pod !== undefined && client.pod === server.pod) return true;
    return this.#sideAllows("egress", client, server, probe) && this.#sideAllows("ingress", server, client, probe);
  }

  #end(address: string): End {
    const pod = this.#world.pods.find((each) => !each.hostNetwork && !each.finished && each.addresses.includes(address));
    return { address, pod };
  }

  /** What the policy says of `own`, in the direction that is its side of the connection. */
  #sideAllows(direction: "ingress" | "egress", own: End, other: End, probe: Probe): boolean {
    const { pod } = own;
    if (pod === undefined || !this.#inSegment(pod)) return true;
    if (this.#quarantined(pod)) return false;
    if (!this.#spec.policyTypes.includes(direction === "ingress" ? "Ingress" : "Egress")) return true;
    const tiers = this.#tiersOf(pod);
    if (tiers.length === 0 && this.#spec.defaultDeny === "TierPods") return true;
    if (direction === "egress" && this.#spec.dns === "Allow" && this.#isDns(other, probe)) return true;
    const server = direction === "ingress" ? own : other;
    return tiers.some(
      (tier) =>
        tier[direction].some((rule) => this.#ruleAllows(rule, pod, other, server, probe)) ||
        this.#otherSideWrote(direction, tier, pod, other, server, probe),
    );
  }

  /** The rule stands at the other tier and names this one: that one word opens both sides. */
  #otherSideWrote(
    direction: "ingress" | "egress",
    tier: Tier,
    pod: Pod,
    other: End,
    server: End,
    probe: Probe,
  ): boolean {
    const peer = other.pod;
    if (peer === undefined || !this.#together(pod, peer)) return false;
    const opposite = direction === "ingress" ? "egress" : "ingress";
    return this.#tiersOf(peer).some((its) =>
      its[opposite].some(
        ({ peers, ports }) =>
          peers.some((each) => each.kind === "tier" && each.tier === tier.name) && portsAllow(ports, server, probe),
      ),
    );
  }

  #ruleAllows({ peers, ports }: TierRule, pod: Pod, other: End, server: End, probe: Probe): boolean {
    return peers.some((peer) => {
      // Without ports of its own, a rule to the API server means the API server's.
      const open = peer.kind === "kubeAPIServer" && ports === "any" ? apiPorts(this.#world) : ports;
      return this.#isPeer(peer, pod, other) && portsAllow(open, server, probe);
    });
  }

  #isPeer(peer: TierPeer, pod: Pod, other: End): boolean {
    switch (peer.kind) {
      case "anywhere":
        return true;
      case "tier":
        return (
          other.pod !== undefined &&
          this.#together(pod, other.pod) &&
          this.#tiersOf(other.pod).some(({ name }) => name === peer.tier)
        );
      case "pods":
        return this.#isPod(peer, pod.namespace, other);
      case "ipBlock":
        return inBlock(peer.ipBlock, other.address);
      case "kubeAPIServer":
        return this.#world.apiServer.addresses.includes(other.address);
      case "nodes":
        return this.#world.nodes.some(
          ({ labels, addresses }) => matches(peer.selector, labels) && addresses.includes(other.address),
        );
    }
  }

  #isPod({ podSelector, namespaceSelector }: NetworkPolicyPeer, home: string, { pod }: End): boolean {
    if (pod === undefined) return false;
    const inScope =
      namespaceSelector === undefined
        ? pod.namespace === home
        : this.#world.namespaces.some(({ name, labels }) => name === pod.namespace && matches(namespaceSelector, labels));
    return inScope && (podSelector === undefined || matches(podSelector, pod.labels));
  }

  #isDns(other: End, probe: Probe): boolean {
    const { peers, ports } = this.#world.dns;
    if (probe.protocol !== "TCP" && probe.protocol !== "UDP") return false;
    if (probe.port === undefined || !ports.includes(probe.port)) return false;
    return peers.some((peer) =>
      peer.ipBlock === undefined ? this.#isPod(peer, "", other) : inBlock(peer.ipBlock, other.address),
    );
  }

  #inSegment({ namespace }: Pod): boolean {
    if (this.#world.excludedNamespaces.includes(namespace)) return false;
    return this.#world.namespaces.some(
      ({ name, labels }) => name === namespace && matches(this.#spec.namespaceSelector, labels),
    );
  }

  /** With `boundary: Namespace` tiers of different namespaces do not know each other. */
  #together(a: Pod, b: Pod): boolean {
    return this.#spec.boundary === "Segment" || a.namespace === b.namespace;
  }

  #quarantined({ labels }: Pod): boolean {
    const { quarantine } = this.#spec;
    if (quarantine === undefined || !(quarantine.key in labels)) return false;
    return quarantine.value === undefined || labels[quarantine.key] === quarantine.value;
  }

  #tiersOf(pod: Pod): readonly Tier[] {
    if (!this.#inSegment(pod) || this.#quarantined(pod)) return [];
    const home = this.#world.namespaces.find(({ name }) => name === pod.namespace);
    return this.#spec.tiers.filter(
      ({ podSelector, namespaceSelector }) =>
        matches(podSelector, pod.labels) &&
        (namespaceSelector === undefined || matches(namespaceSelector, home?.labels ?? {})),
    );
  }
}

function apiPorts({ apiServer: { ports } }: World): readonly TierPort[] {
  return ports.map(({ protocol = "TCP", port = 0 }) => ({ protocol, port }));
}

/** A name means what the server's pod calls so; what is no pod has no names. */
function portsAllow(ports: "any" | readonly TierPort[], server: End, probe: Probe): boolean {
  if (ports === "any") return true;
  const { port: hit } = probe;
  if (hit === undefined) return false;
  return ports.some(({ protocol, port, endPort }) => {
    if (protocol !== probe.protocol) return false;
    if (typeof port === "number") return port <= hit && hit <= (endPort ?? port);
    const called = server.pod?.ports.filter(({ name }) => name === port) ?? [];
    return called.some((own) => own.protocol === protocol && own.port === hit);
  });
}

function inBlock({ cidr, except = [] }: IPBlock, address: string): boolean {
  const family = isIPv6(address) ? "ipv6" : "ipv4";
  const holds = (network: string) => {
    const [base = "", length = ""] = network.split("/");
    if ((isIPv6(base) ? "ipv6" : "ipv4") !== family) return false;
    const list = new BlockList();
    list.addSubnet(base, Number(length), family);
    return list.check(address, family);
  };
  return holds(cidr) && !except.some(holds);
}

function matches({ matchLabels = {}, matchExpressions = [] }: LabelSelector, labels: Labels): boolean {
  return (
    Object.entries(matchLabels).every(([key, value]) => labels[key] === value) &&
    matchExpressions.every(({ key, operator, values = [] }) => {
      const value = labels[key];
      if (operator === "Exists") return value !== undefined;
      if (operator === "DoesNotExist") return value === undefined;
      const listed = value !== undefined && values.includes(value);
      return operator === "In" ? listed : !listed;
    })
  );
}
