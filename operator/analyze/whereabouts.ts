import type { Pod } from "../api/workload.ts";
import { bitsOf, type Bits } from "./address.ts";
import type { Cluster } from "./cluster.ts";
import { counts } from "./selection.ts";

/** Who stands behind an address. */
export interface Whereabouts {
  readonly bits: Bits;
  /** All pods that say they have it. */
  readonly claimants: readonly Pod[];
  /** Those with the best right to it: one as a rule, none for what is no pod's. */
  readonly holders: readonly Pod[];
  /** The pod that policies mean by it. Where several hold it that contradicts itself: then it is nobody's. */
  readonly peer: Pod | undefined;
  /** Nodes that have the address themselves. */
  readonly nodes: readonly string[];
}

/** Who stands behind the addresses of one cluster; each is looked up once, however many packets bear it. */
export class AddressLookup {
  readonly #cluster: Cluster;
  readonly #known = new Map<string, Whereabouts>();

  constructor(cluster: Cluster) {
    this.#cluster = cluster;
  }

  /** @throws RangeError for what is no address */
  whereabouts(address: string): Whereabouts {
    const found = this.#known.get(address) ?? this.#lookUp(address);
    this.#known.set(address, found);
    return found;
  }

  #lookUp(address: string): Whereabouts {
    const { pods, nodes } = this.#cluster;
    const bits = bitsOf(address);
    if (bits === undefined) throw new RangeError(`not an IP address: ${address}`);
    const listed = (addresses: readonly string[]): boolean => addresses.some((each) => bitsOf(each) === bits);
    const claimants = pods.filter((pod) => counts(pod) && listed(pod.addresses));
    const holders = entitled(claimants);
    return {
      bits,
      claimants,
      holders,
      peer: holders.length === 1 ? holders[0] : undefined,
      nodes: [...nodes].filter(([, addresses]) => listed(addresses)).map(([name]) => name),
    };
  }
}

/** Nodes whose filters a packet between the two passes: those of the pods at its ends. */
export function nodesOnTheWay(from: Whereabouts, to: Whereabouts): readonly string[] {
  return [...new Set([...from.holders, ...to.holders].map(({ nodeName }) => nodeName))];
}

/**
 * The pods whose policies a packet with this address meets on these nodes. Each node knows its own pods, and of several
 * that claim the address there takes one for good: the first by uid of those with the best right.
 */
export function podsBehind({ claimants }: Whereabouts, nodes: readonly string[]): readonly Pod[] {
  return nodes.flatMap((node) => {
    const local = entitled(claimants.filter(({ nodeName }) => nodeName === node && node !== ""));
    return local.toSorted((a, b) => (a.uid < b.uid ? -1 : 1)).slice(0, 1);
  });
}

/** An address is handed on while its last pod is still terminating: one that is not being deleted goes before. */
function entitled(claimants: readonly Pod[]): readonly Pod[] {
  const staying = claimants.filter(({ deleting }) => !deleting);
  return staying.length > 0 ? staying : claimants;
}
