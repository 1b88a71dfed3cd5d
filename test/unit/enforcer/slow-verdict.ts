import type {
  LocalPod, NodeState, PeerSetId, PodAudit, PolicyId, ResolvedPort, ResolvedRule,
} from "../../../operator/api/node-state.ts";
import { recordChain } from "../../../operator/enforcer/layout/audits.ts";
import type { LayoutOptions } from "../../../operator/enforcer/layout/options.ts";
import { insideOf, type Packet } from "./packet-walk.ts";

/** What semantics ask of a node, straight from its state: no classes of pods, no unions of sets, no order of rules. */
export class SlowVerdict {
  readonly #state: NodeState;
  readonly #pods: ReadonlyMap<string, LocalPod>;
  readonly #nets = new Map<string, (address: string) => boolean>();

  constructor(state: NodeState) {
    this.#state = state;
    this.#pods = new Map(state.pods.values().flatMap((pod) => pod.addresses.map((address) => [address, pod] as const)));
  }

  allows(packet: Packet): boolean {
    if (packet.source === packet.destination) return true;
    const open = (direction: "ingress" | "egress", address: string): boolean => {
      const isolating = this.#pods.get(address)?.[direction] ?? [];
      return isolating.length === 0 || this.#anyAllows(isolating, direction, packet);
    };
    return open("egress", packet.source) && open("ingress", packet.destination);
  }

  /** The record chains of audits that would not allow what is allowed now. */
  recorded(packet: Packet): readonly string[] {
    if (packet.source === packet.destination || !this.allows(packet)) return [];
    const refusing = (direction: "ingress" | "egress", address: string): readonly PodAudit[] =>
      (this.#pods.get(address)?.audits ?? []).filter((audit) => {
        return audit[direction].length > 0 && !this.#anyAllows(audit[direction], direction, packet);
      });
    return [
      ...refusing("egress", packet.source)
        .map(({ policy, tier }) => recordChain({ policy, tier, direction: "Egress" })),
      ...refusing("ingress", packet.destination)
        .map(({ policy, tier }) => recordChain({ policy, tier, direction: "Ingress" })),
    ];
  }

  /**
   * Whether one side is an address of a closed network that no pod has. What such an address sends to itself passes where
   * the kernel can tell: it is a pod that nobody has told us of yet, and alone with itself.
   */
  intoTheDark({ source, destination }: Packet, { closedNets, lacks }: LayoutOptions): boolean {
    if (source === destination && !lacks.has("bpf")) return false;
    const dark = (address: string) => {
      return !this.#pods.has(address) && closedNets.some((net) => this.#inside(address, net));
    };
    return dark(source) || dark(destination);
  }

  #anyAllows(ids: readonly PolicyId[], direction: "ingress" | "egress", packet: Packet): boolean {
    const other = direction === "egress" ? packet.destination : packet.source;
    return ids.some((id) => {
      return this.#state.policies.get(id)?.[direction].some((rule) => this.#ruleAllows(rule, packet, other)) === true;
    });
  }

  #ruleAllows({ peers, ports, endpoints }: ResolvedRule, packet: Packet, other: string): boolean {
    const { destination, protocol, port } = packet;
    const listed = (id: PeerSetId, member: string) => this.#state.peers.get(id)?.members.has(member) === true;
    if (endpoints.some((id) => listed(id, `${destination},${protocol}:${port}`))) return true;
    const peerFits =
      peers === "any" ||
      peers.sets.some((id) => listed(id, other)) ||
      peers.blocks.some(({ cidr, except = [] }) => {
        return this.#inside(other, cidr) && !except.some((net) => this.#inside(other, net));
      });
    return peerFits && (ports === "any" || ports.some((each) => this.#portFits(each, packet)));
  }

  #portFits(port: ResolvedPort, packet: Packet): boolean {
    if (port.protocol.toLowerCase() !== packet.protocol) return false;
    if ("port" in port) return packet.port >= port.port && packet.port <= (port.endPort ?? port.port);
    if (!("name" in port)) return true;
    return this.#pods.get(packet.destination)?.ports.some((named) => {
      return named.name === port.name && named.protocol === port.protocol && named.port === packet.port;
    }) === true;
  }

  #inside(address: string, network: string): boolean {
    const test = this.#nets.get(network) ?? insideOf(network);
    this.#nets.set(network, test);
    return test(address);
  }
}
