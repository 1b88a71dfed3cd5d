import type { Family } from "./family.ts";
import { ADDRESS_BITS, addressText, networkValue } from "./family.ts";

/** A network. `base` has no bits set below `length`. */
export interface Prefix {
  readonly base: bigint;
  readonly length: number;
}

/** Most prefixes that one packet is compared with at each fork: a compare is a few ns, a chain of them is not. */
const MOST_PREFIXES = 16;
/** More of them are better asked for in two steps: one more step costs about as much as two compares. */
const MOST_BUCKETS_AT_ONCE = 8;
/** What two steps make of the prefixes of one: four, where addresses are dense. */
const BRANCH_BITS = 2;
const MOST_BUCKETS = MOST_PREFIXES << BRANCH_BITS;
/**
 * No prefix of ours is so long: for 24 bits iptables-nft makes the kernel read three bytes, which it does in a general
 * way and not in its fast one, and the compare costs as much as four others (48 and 11 ns on one machine).
 */
const SLOW: Readonly<Record<Family, number | undefined>> = { ipv4: 24, ipv6: undefined };
/** No finer than a node's usual share of the pod network, so that pods may come and go and the prefixes stay. */
const FINEST_COVER: Readonly<Record<Family, number>> = { ipv4: 24, ipv6: 64 };
/** With few pods buckets and leaves are about as many; with all of such a share there are eight of four of eight. */
const FINEST_BUCKET: Readonly<Record<Family, number>> = { ipv4: 29, ipv6: 125 };

/** At most 16 prefixes that together hold all the addresses (and maybe others'). Ascending; independent of order. */
export function coveringPrefixes(addresses: readonly bigint[], family: Family): readonly Prefix[] {
  return groups(addresses, family, FINEST_COVER[family], MOST_PREFIXES);
}

/** A prefix, and those within it that come next; none where the prefix itself is a bucket. */
export interface Branch {
  readonly prefix: Prefix;
  readonly buckets: readonly Prefix[];
}

/** At most 16 branches with their buckets, which divide the addresses. Ascending; independent of order. */
export function bucketBranches(addresses: readonly bigint[], family: Family): readonly Branch[] {
  const buckets = groups(addresses, family, FINEST_BUCKET[family], MOST_BUCKETS);
  const [first] = buckets;
  if (first === undefined || buckets.length <= MOST_BUCKETS_AT_ONCE) {
    return buckets.map((prefix) => ({ prefix, buckets: [] }));
  }
  const bases = buckets.map(({ base }) => base);
  const branches = groups(bases, family, Math.max(first.length - BRANCH_BITS, 0), MOST_PREFIXES);
  return branches.map((prefix) => ({ prefix, buckets: buckets.filter(({ base }) => contains(prefix, base, family)) }));
}

/** The prefix, or the one around it that is compared faster. */
export function fastPrefix({ base, length }: Prefix, family: Family): Prefix {
  return length === SLOW[family] ? prefixOf(base, length - 1, family) : { base, length };
}

export function contains({ base, length }: Prefix, address: bigint, family: Family): boolean {
  const shift = BigInt(ADDRESS_BITS[family] - length);
  return address >> shift === base >> shift;
}

export function prefixText({ base, length }: Prefix, family: Family): string {
  return `${addressText(base, family)}/${length}`;
}

/**
 * Canonical form of a CIDR: users may write host bits (`10.72.10.0/8`), the kernel's tools print none.
 * @throws Error if it is no CIDR of the family.
 */
export function parsePrefix(cidr: string, family: Family): Prefix {
  const { base, length } = networkValue(cidr, family);
  return { base, length };
}

/** The prefixes that cover exactly what is in `net` and in none of `holes`. Ascending. */
export function subtract(net: Prefix, holes: readonly Prefix[], family: Family): readonly Prefix[] {
  const overlapping = holes.filter((hole) => {
    return hole.length <= net.length ? contains(hole, net.base, family) : contains(net, hole.base, family);
  });
  if (overlapping.length === 0) return [net];
  if (overlapping.some((hole) => hole.length <= net.length)) return [];
  const length = net.length + 1;
  const middle = net.base | (1n << BigInt(ADDRESS_BITS[family] - length));
  const halves = [net.base, middle].map((base): Prefix => ({ base, length }));
  return halves.flatMap((half) => subtract(half, overlapping, family));
}

/** At most so many prefixes, the longest that do, that hold the addresses. */
function groups(addresses: readonly bigint[], family: Family, finest: number, most: number): readonly Prefix[] {
  for (let length = finest; ; length -= 1) {
    if (length === SLOW[family]) continue;
    const shift = BigInt(ADDRESS_BITS[family] - length);
    const bases = new Set(addresses.map((address) => (address >> shift) << shift));
    // At length 0 one prefix is left, so this ends.
    if (bases.size <= most) return [...bases].sort(ascending).map((base) => ({ base, length }));
  }
}

function prefixOf(address: bigint, length: number, family: Family): Prefix {
  const shift = BigInt(ADDRESS_BITS[family] - length);
  return { base: (address >> shift) << shift, length };
}

function ascending(a: bigint, b: bigint): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
