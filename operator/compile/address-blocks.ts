import { addressText, parseAddress, parseNetwork, type Address, type Network } from "../api/address.ts";
import type { Node } from "../api/workload.ts";

/**
 * The addresses that packets of a node may carry: its own, and of each of its pod networks the network address and the
 * first one, since overlays such as Flannel send from those.
 */
export function nodeAddresses({ addresses, podCIDRs }: Pick<Node, "addresses" | "podCIDRs">): readonly Address[] {
  const own = addresses.flatMap((text) => parseAddress(text) ?? []);
  const gateways = podCIDRs.flatMap((cidr): readonly Address[] => {
    const network = parseNetwork(cidr);
    if (network === undefined) return [];
    const { bits, base, length } = network;
    return length === bits ? [{ bits, value: base }] : [{ bits, value: base }, { bits, value: base + 1n }];
  });
  return [...own, ...gateways];
}

/** The fewest networks that hold exactly these addresses: IPv4 first, ascending. */
export function mergeAddresses(addresses: readonly Address[]): readonly Network[] {
  return ([32, 128] as const).flatMap((bits) => {
    const values = addresses.filter((address) => address.bits === bits).map(({ value }) => value);
    return runs(values.toSorted((a, b) => (a < b ? -1 : a > b ? 1 : 0))).flatMap((run) => cover(bits, run));
  });
}

/** The text of a network as NetworkPolicies have it. */
export function networkText({ bits, base, length }: Network): string {
  return `${addressText({ bits, value: base })}/${length}`;
}

interface Run {
  readonly first: bigint;
  readonly last: bigint;
}

/** Sorted values as runs without a hole. */
function runs(values: readonly bigint[]): readonly Run[] {
  const found: { first: bigint; last: bigint }[] = [];
  for (const value of values) {
    const open = found.at(-1);
    if (open !== undefined && value <= open.last + 1n) open.last = value;
    else found.push({ first: value, last: value });
  }
  return found;
}

/** Each time the largest network that begins at the run's start and does not pass its end. */
function cover(bits: 32 | 128, { first, last }: Run): readonly Network[] {
  const networks: Network[] = [];
  for (let base = first; base <= last; ) {
    let free = 0;
    let size = 1n;
    while (free < bits && base % (2n * size) === 0n && base + 2n * size - 1n <= last) {
      free += 1;
      size *= 2n;
    }
    networks.push({ bits, base, length: bits - free });
    base += size;
  }
  return networks;
}
