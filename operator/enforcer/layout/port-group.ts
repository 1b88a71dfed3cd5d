import type { PeerSetId, ResolvedPort, ResolvedRule } from "../../api/node-state.ts";
import type { IPBlock } from "../../api/network-policy.ts";

/** All peers that the policies of a class allow on one and the same port: they share one line, or one set. */
export interface PortGroup {
  readonly port: ResolvedPort | "any";
  /** Everyone may: the rest does not matter then. */
  anyone: boolean;
  readonly sets: Set<PeerSetId>;
  /** By canonical text, so that one block written in two policies is one line. */
  readonly blocks: Map<string, IPBlock>;
}

/** The rules of all policies of a class, grouped by port. Sorted by port; independent of the order of the rules. */
export function groupByPort(rules: Iterable<ResolvedRule>): readonly PortGroup[] {
  const groups = new Map<string, PortGroup>();
  for (const { peers, ports } of rules) {
    for (const port of ports === "any" ? (["any"] as const) : ports) {
      const key = portKey(port);
      const group = groups.get(key) ?? { port, anyone: false, sets: new Set(), blocks: new Map() };
      groups.set(key, group);
      if (peers === "any") group.anyone = true;
      else {
        for (const set of peers.sets) group.sets.add(set);
        for (const block of peers.blocks) group.blocks.set(blockKey(block), block);
      }
    }
  }
  return [...groups].sort(byKey).map(([, group]) => group);
}

/** The blocks of a group in a stable order. */
export function sortedBlocks({ blocks }: PortGroup): readonly IPBlock[] {
  return [...blocks].sort(byKey).map(([, block]) => block);
}

function portKey(port: ResolvedPort | "any"): string {
  if (port === "any") return "any";
  if ("name" in port) return `${port.protocol} name ${port.name}`;
  if ("port" in port) return `${port.protocol} ${port.port}-${port.endPort ?? port.port}`;
  return port.protocol;
}

function blockKey({ cidr, except = [] }: IPBlock): string {
  return [cidr, ...except.toSorted()].join(" ");
}

function byKey<T>([a]: readonly [string, T], [b]: readonly [string, T]): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
