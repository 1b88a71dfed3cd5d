import type { Direction } from "../api/network-policy.ts";
import type { SegmentPolicySpec } from "../api/segment-policy.ts";
import type { Cluster } from "./cluster.ts";
import type { Packet } from "./packet.ts";
import { matchRule, rulesOf } from "./rule-match.ts";
import { SegmentIntent, type Side, type Surroundings } from "./segment-intent.ts";
import { isolates } from "./selection.ts";
import { judgeOf } from "./verdict.ts";
import { AddressLookup, nodesOnTheWay, podsBehind, type Whereabouts } from "./whereabouts.ts";

/** A SegmentPolicy in mode Audit. */
export interface Audited {
  readonly name: string;
  readonly spec: SegmentPolicySpec;
}

/** A connection that a SegmentPolicy in mode Audit would drop, counted at one end of it. */
export interface WouldDrop {
  readonly policy: string;
  /** The pod's, the first by name; `""` for none. */
  readonly tier: string;
  readonly direction: Direction;
  /** `<namespace>/<name>` of the pod at that end. */
  readonly pod: string;
}

/**
 * Tells what the nodes of a cluster have to count for the first packet of a connection: every policy as if it alone
 * were added, after enforcement, at each end that the packet gets to. A policy would drop what neither it nor any
 * NetworkPolicy on the pod allows. Never counted: a pod to itself, and between a pod and its own node, which no filter
 * forwards. It throws a RangeError where `verdict` does.
 */
export function auditorOf(
  cluster: Cluster,
  audited: readonly Audited[],
  surroundings: Surroundings,
): (packet: Packet) => readonly WouldDrop[] {
  const judge = judgeOf(cluster);
  const lookup = new AddressLookup(cluster);
  const intents = audited.map(({ name, spec }) => ({ name, intent: new SegmentIntent(spec, cluster, surroundings) }));
  return (packet) => {
    const { egress, ingress } = judge(packet);
    if (egress.kind === "denied") return [];
    const asked = askedEnds(cluster, lookup, packet, ingress.kind === "denied");
    return intents.flatMap(({ name, intent }) => asked
      .filter((side) => intent.governs(side.own, side.direction) && !intent.allows(side) && !isAllowed(side))
      .map(({ own, direction }): WouldDrop => {
        const [tier = ""] = intent.tiersOf(own).map((each) => each.name).toSorted();
        return { policy: name, tier, direction, pod: `${own.namespace}/${own.name}` };
      }));
  };
}

/** The ends at which a packet is judged that the client's side lets through. `denied`: the server's side drops it. */
function askedEnds(cluster: Cluster, lookup: AddressLookup, packet: Packet, denied: boolean): readonly Side[] {
  const from = lookup.whereabouts(packet.source);
  const to = lookup.whereabouts(packet.destination);
  const way = nodesOnTheWay(from, to);
  const ends = (direction: Direction, own: Whereabouts, other: Whereabouts): readonly Side[] =>
    podsBehind(own, way)
      .filter((pod) => !other.claimants.includes(pod) && !other.nodes.includes(pod.nodeName))
      .map((pod) => {
        const server = direction === "Ingress" ? pod : other.peer;
        return { direction, own: pod, cluster, packet, server, peer: { bits: other.bits, pod: other.peer } };
      });
  const servers = podsBehind(to, way);
  // A node asks what it let through: the client's may not know yet that the server's drops it.
  const passes = ({ own }: Side) => !denied || servers.every(({ nodeName }) => nodeName !== own.nodeName);
  return [...ends("Egress", from, to).filter(passes), ...(denied ? [] : ends("Ingress", to, from))];
}

/** By a NetworkPolicy on the pod, whether it isolates the pod as things are or not. */
function isAllowed(side: Side): boolean {
  const { cluster, own, direction } = side;
  return cluster.networkPolicies
    .filter((policy) => isolates(policy, own, direction))
    .some((policy) =>
      rulesOf(policy, direction).some((rule) => matchRule(rule, policy.metadata.namespace, side) !== undefined),
    );
}
