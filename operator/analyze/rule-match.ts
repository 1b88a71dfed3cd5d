import type { IPBlock, NetworkPolicy, NetworkPolicyPeer, NetworkPolicyPort } from "../api/network-policy.ts";
import type { Pod } from "../api/workload.ts";
import { holds, type Bits } from "./address.ts";
import type { Cluster } from "./cluster.ts";
import type { Packet } from "./packet.ts";
import { labelsMatch } from "./selection.ts";

/** What a rule is asked: a packet with one end at a pod that the rule's policy isolates. */
export interface Question {
  readonly cluster: Cluster;
  readonly packet: Packet;
  /** Whose port names count: the packet's destination, if it is a pod. */
  readonly server: Pod | undefined;
  /** The other end, as a peer: its address, and the pod behind it. */
  readonly peer: { readonly bits: Bits; readonly pod: Pod | undefined };
}

/** `ingress` or `egress` rule, whichever is asked: `peers` is its `from` or `to`. */
export interface PeersAndPorts {
  readonly peers: readonly NetworkPolicyPeer[];
  readonly ports: readonly NetworkPolicyPort[];
}

/** Which items of a rule allow a packet, by index; absent where the rule lists none and so means any. */
export interface Match {
  readonly peer?: number;
  readonly port?: number;
}

/** The rules of a policy for one direction, in order. */
export function rulesOf({ spec }: NetworkPolicy, direction: "Ingress" | "Egress"): readonly PeersAndPorts[] {
  return direction === "Ingress"
    ? spec.ingress.map(({ from = [], ports = [] }) => ({ peers: from, ports }))
    : spec.egress.map(({ to = [], ports = [] }) => ({ peers: to, ports }));
}

/** A rule allows what one of its peers and one of its ports match; a list without items matches anything. */
export function matchRule({ peers, ports }: PeersAndPorts, home: string, question: Question): Match | undefined {
  const peer = peers.findIndex((each) => peerMatches(each, home, question));
  const port = ports.findIndex((each) => portMatches(each, question));
  if ((peers.length > 0 && peer < 0) || (ports.length > 0 && port < 0)) return undefined;
  return { ...(peer >= 0 && { peer }), ...(port >= 0 && { port }) };
}

/** `home`: the policy's namespace, which a `podSelector` alone looks in. */
function peerMatches(peer: NetworkPolicyPeer, home: string, { cluster, peer: other }: Question): boolean {
  const { ipBlock, podSelector, namespaceSelector } = peer;
  if (ipBlock !== undefined) {
    // Kubernetes refuses a block beside selectors: which of them is meant is anybody's guess.
    return podSelector === undefined && namespaceSelector === undefined && blockHolds(ipBlock, other.bits);
  }
  const { pod } = other;
  if (pod === undefined || (podSelector === undefined && namespaceSelector === undefined)) return false;
  const inNamespace = namespaceSelector === undefined
    ? pod.namespace === home
    : cluster.namespaces.some(({ name, labels }) => name === pod.namespace && labelsMatch(namespaceSelector, labels));
  return inNamespace && labelsMatch(podSelector ?? {}, pod.labels);
}

/** A block that cannot be read in all its parts holds nothing. Its exceptions are its own, not other blocks'. */
function blockHolds({ cidr, except = [] }: IPBlock, address: Bits): boolean {
  return holds(cidr, address) === true && except.every((hole) => holds(hole, address) === false);
}

/** No number = the whole protocol. ICMP has no ports: no item matches it. */
function portMatches({ protocol = "TCP", port, endPort }: NetworkPolicyPort, { packet, server }: Question): boolean {
  if (packet.protocol !== protocol) return false;
  if (port === undefined) return true;
  if (packet.port === undefined) return false;
  if (typeof port === "number") return packet.port >= port && packet.port <= (endPort ?? port);
  return server?.ports.some((named) => {
    return named.name === port && named.protocol === protocol && named.port === packet.port;
  }) ?? false;
}
