import type { Direction } from "../api/network-policy.ts";
import { generatedFrom } from "../api/network-policy.ts";
import type { Pod } from "../api/workload.ts";
import type { Cluster } from "./cluster.ts";
import type { Packet } from "./packet.ts";
import { matchRule, rulesOf, type Match, type Question } from "./rule-match.ts";
import { isolates } from "./selection.ts";
import { AddressLookup, nodesOnTheWay, podsBehind, type Whereabouts } from "./whereabouts.ts";

/** Whether a connection comes about: the client's egress and the server's ingress must both let it through. */
export interface Verdict {
  readonly allowed: boolean;
  readonly egress: Judgement;
  readonly ingress: Judgement;
}

/** What one side's policies say, with the reason. Pods and policies are `<namespace>/<name>`. */
export type Judgement =
  | { readonly kind: "open"; readonly why: Openness }
  /** By this rule of `spec.ingress` or `spec.egress`; `peer` and `port` as in Match. Indices of what could be read. */
  | ({ readonly kind: "allowed"; readonly pod: string; readonly policy: string; readonly rule: number } & Match)
  /** By the absence of a rule in all of these, sorted. */
  | { readonly kind: "denied"; readonly pod: string; readonly isolatedBy: readonly string[] };

export type Openness =
  /** No pod on that side that policies could be about. */
  | "no pod"
  /** No policy that counts selects the pod for that direction. */
  | "not isolated"
  /** From a pod to itself. */
  | "itself"
  /** Between a pod and its own node. */
  | "own node";

/**
 * Judges as Kubernetes documents NetworkPolicy, straight from the objects, sharing nothing with what enforces them.
 * @throws RangeError if an address of the packet is none, or the two are of different families
 */
export function verdict(cluster: Cluster, packet: Packet): Verdict {
  return verdictIn(cluster, new AddressLookup(cluster), packet);
}

/** The same for many packets in one cluster. */
export function judgeOf(cluster: Cluster): (packet: Packet) => Verdict {
  const lookup = new AddressLookup(cluster);
  return (packet) => verdictIn(cluster, lookup, packet);
}

function verdictIn(cluster: Cluster, lookup: AddressLookup, packet: Packet): Verdict {
  const from = lookup.whereabouts(packet.source);
  const to = lookup.whereabouts(packet.destination);
  if (from.bits.length !== to.bits.length) throw new RangeError(`${packet.source} and ${packet.destination}: which?`);
  const way = nodesOnTheWay(from, to);
  const side = (direction: Direction, own: Whereabouts, other: Whereabouts): Judgement => {
    const judged = podsBehind(own, way).map((pod) => judge(cluster, packet, direction, pod, other));
    return judged.find(({ kind }) => kind === "denied") ?? judged[0] ?? { kind: "open", why: "no pod" };
  };
  const egress = side("Egress", from, to);
  const ingress = side("Ingress", to, from);
  return { allowed: egress.kind !== "denied" && ingress.kind !== "denied", egress, ingress };
}

function judge(cluster: Cluster, packet: Packet, direction: Direction, pod: Pod, other: Whereabouts): Judgement {
  if (other.claimants.includes(pod)) return { kind: "open", why: "itself" };
  // Probes of the kubelet come from the pod's own node: they always get through.
  const nodeIsOpen = direction === "Ingress" || cluster.nodeTraffic === "Allow";
  if (nodeIsOpen && other.nodes.includes(pod.nodeName)) return { kind: "open", why: "own node" };

  const selecting = cluster.networkPolicies.filter((policy) => isolates(policy, pod, direction));
  const isolated = cluster.enforce === "All"
    ? selecting.length > 0
    : selecting.some((policy) => generatedFrom(policy) !== undefined);
  if (!isolated) return { kind: "open", why: "not isolated" };

  const question: Question = {
    cluster,
    packet,
    server: direction === "Ingress" ? pod : other.peer,
    peer: { bits: other.bits, pod: other.peer },
  };
  const named = `${pod.namespace}/${pod.name}`;
  for (const policy of selecting) {
    const { namespace, name } = policy.metadata;
    for (const [rule, each] of rulesOf(policy, direction).entries()) {
      const match = matchRule(each, namespace, question);
      if (match !== undefined) {
        return { kind: "allowed", pod: named, policy: `${namespace}/${name}`, rule, ...match };
      }
    }
  }
  const isolatedBy = selecting.map(({ metadata: { namespace, name } }) => `${namespace}/${name}`).toSorted();
  return { kind: "denied", pod: named, isolatedBy };
}
