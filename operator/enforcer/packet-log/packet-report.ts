import type { LocalPod, NodeState } from "../../api/node-state.ts";
import type { Direction, Protocol } from "../../api/network-policy.ts";
import type { AuditSubject } from "../layout/audits.ts";
import type { Flow } from "../layout/flow-verdict.ts";
import { deniedSides } from "../layout/flow-verdict.ts";
import { DROP_CHAIN } from "../layout/skeleton.ts";
import type { LogFields } from "../line-logger.ts";
import type { LoggedPacket } from "./logged-packet.ts";

/** What is said of a packet: one line of the log. */
export interface PacketReport {
  readonly message: "packet dropped" | "packet would be dropped";
  readonly fields: LogFields;
}

/**
 * What became, or would have become, of a logged packet, and by whose rules. Several where both its ends are pods of the
 * node and both refuse it. Empty if the state that logged it is over.
 */
export function reportsOf(
  packet: LoggedPacket,
  state: NodeState,
  subjects: ReadonlyMap<string, AuditSubject>,
): readonly PacketReport[] {
  if (packet.chain === DROP_CHAIN) return dropsOf(packet, state);
  const subject = subjects.get(packet.chain);
  if (subject === undefined) return [];
  const { policy, tier, direction } = subject;
  const pod = podOf(state, ownSide(packet, direction));
  return [{ message: "packet would be dropped", fields: fieldsOf(packet, direction, pod, [policy], tier) }];
}

function dropsOf(packet: LoggedPacket, state: NodeState): readonly PacketReport[] {
  const flow = flowOf(packet);
  const sides = flow === undefined ? [] : deniedSides(state, flow);
  // An address of no pod that the node knows, or a frame that only a bridge would carry.
  if (sides.length === 0) return [{ message: "packet dropped", fields: fieldsOf(packet, undefined, undefined, [], "") }];
  return sides.map(({ direction, pod, policies }) => {
    return { message: "packet dropped", fields: fieldsOf(packet, direction, pod, policies, "") };
  });
}

function fieldsOf(
  packet: LoggedPacket,
  direction: Direction | undefined,
  pod: LocalPod | undefined,
  policies: readonly string[],
  tier: string,
): LogFields {
  const [local, peer] = direction === "Egress"
    ? [packet.source, packet.destination]
    : [packet.destination, packet.source];
  return {
    ...(direction !== undefined && { direction }),
    policies,
    ...(tier !== "" && { tier }),
    pod: pod === undefined ? local : `${pod.namespace}/${pod.name}`,
    peer,
    protocol: packet.protocol,
    ...(packet.port !== undefined && { port: packet.port }),
  };
}

function ownSide({ source, destination }: LoggedPacket, direction: Direction): string {
  return direction === "Egress" ? source : destination;
}

function podOf({ pods }: NodeState, address: string): LocalPod | undefined {
  return pods.values().find(({ addresses }) => addresses.includes(address));
}

/** Logged before any source translation, behind that of the destination. */
function flowOf({ protocol, source, destination, port = 0 }: LoggedPacket): Flow | undefined {
  if (!isJudged(protocol)) return undefined;
  return { protocol, source, server: destination, serverPort: port };
}

function isJudged(protocol: string): protocol is Protocol | "ICMP" {
  return ["TCP", "UDP", "SCTP", "ICMP"].includes(protocol);
}
