import type { LocalPod, NodeState, PolicyId, ResolvedRule } from "../../api/node-state.ts";
import { blockTest, parseAddress } from "../../api/address.ts";
import type { Direction, Protocol } from "../../api/network-policy.ts";

/** A tracked connection, as packets that pass the node show it. */
export interface Flow {
  readonly protocol: Protocol | "ICMP";
  readonly source: string;
  /** The server's own address and port, behind destination NAT. */
  readonly server: string;
  readonly serverPort: number;
}

/** As connection tracking lists it. */
export interface TrackedFlow extends Flow {
  readonly sourcePort: number;
}

/**
 * Whether `state` allows a connection to go on: what the chains of `layout` say, straight from the state. Used only
 * where the kernel cannot judge established connections by itself.
 */
export function allowsFlow(state: NodeState, flow: Flow): boolean {
  return deniedSides(state, flow).length === 0;
}

/** A pod of the node that a connection may not come from, or not go to. */
export interface DeniedSide {
  readonly direction: Direction;
  readonly pod: LocalPod;
  /** Those that isolate it, none of which allows the connection. */
  readonly policies: readonly PolicyId[];
}

/** Which of the ends of a connection refuse it. */
export function deniedSides(state: NodeState, flow: Flow): readonly DeniedSide[] {
  if (flow.source === flow.server) return [];
  return (["Egress", "Ingress"] as const).flatMap((direction) => deniedSide(state, flow, direction) ?? []);
}

function deniedSide(state: NodeState, flow: Flow, direction: Direction): DeniedSide | undefined {
  const [own, other] = direction === "Egress" ? [flow.source, flow.server] : [flow.server, flow.source];
  const pod = state.pods.values().find(({ addresses }) => addresses.includes(own));
  const policies = (direction === "Egress" ? pod?.egress : pod?.ingress) ?? [];
  if (pod === undefined || policies.length === 0) return undefined;
  const allowed = policies.some((id) => {
    const policy = state.policies.get(id);
    const rules = (direction === "Egress" ? policy?.egress : policy?.ingress) ?? [];
    return rules.some((rule) => ruleAllows(rule, state, flow, other));
  });
  return allowed ? undefined : { direction, pod, policies };
}

function ruleAllows({ peers, ports, endpoints }: ResolvedRule, state: NodeState, flow: Flow, other: string): boolean {
  const endpoint = `${flow.server},${flow.protocol.toLowerCase()}:${flow.serverPort}`;
  if (endpoints.some((id) => state.peers.get(id)?.members.has(endpoint) === true)) return true;
  return portsAllow(ports, state, flow) && peersAllow(peers, state, other);
}

function peersAllow(peers: ResolvedRule["peers"], state: NodeState, other: string): boolean {
  if (peers === "any" || peers.sets.some((id) => state.peers.get(id)?.members.has(other) === true)) return true;
  const address = parseAddress(other);
  return address !== undefined && peers.blocks.some((block) => blockTest(block)?.(address) === true);
}

function portsAllow(ports: ResolvedRule["ports"], state: NodeState, flow: Flow): boolean {
  if (ports === "any") return true;
  return ports.some((port) => {
    if (port.protocol !== flow.protocol) return false;
    if ("port" in port) return flow.serverPort >= port.port && flow.serverPort <= (port.endPort ?? port.port);
    if (!("name" in port)) return true;
    const server = state.pods.values().find(({ addresses }) => addresses.includes(flow.server));
    return server?.ports.some((named) => {
      return named.name === port.name && named.protocol === flow.protocol && named.port === flow.serverPort;
    }) === true;
  });
}
