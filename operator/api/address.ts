import type { IPBlock } from "./network-policy.ts";

/** An IP address as a number, and the number of bits of its family. */
export interface Address {
  readonly bits: 32 | 128;
  readonly value: bigint;
}

/** A network. `base` has no bits set below `length`. */
export interface Network {
  readonly bits: 32 | 128;
  readonly base: bigint;
  readonly length: number;
}

/** An IP address from its usual text; `undefined` for what is none. IPv4 in IPv6 text is none: sets hold one family. */
export function parseAddress(text: string): Address | undefined {
  return text.includes(":") ? parseIPv6(text) : parseIPv4(text);
}

/** The network of a CIDR, which may be written with host bits (`10.72.10.0/8`); `undefined` for what is none. */
export function parseNetwork(cidr: string): Network | undefined {
  const [address = "", width = "", ...rest] = cidr.split("/");
  const net = parseAddress(address);
  const length = Number(width);
  if (net === undefined || rest.length > 0 || !/^\d{1,3}$/.test(width) || length > net.bits) return undefined;
  const shift = BigInt(net.bits - length);
  return { bits: net.bits, base: (net.value >> shift) << shift, length };
}

/** The one text of an address, as the kernel's tools and the C library print it (RFC 5952 for IPv6). */
export function addressText({ bits, value }: Address): string {
  return bits === 32 ? dotted(Number(value)) : ipv6Text(value);
}

/**
 * The text of an address that every other spelling of it shares; `undefined` for what is no address, and for an IPv4
 * address in IPv6 clothes, which is no pod's.
 */
export function canonicalAddress(text: string): string | undefined {
  const address = parseAddress(text);
  if (address === undefined) return undefined;
  const canonical = addressText(address);
  return address.bits === 128 && canonical.includes(".") ? undefined : canonical;
}

/** Tells whether an address lies in an `ipBlock`; `undefined` for a block that cannot be read, `except` included. */
export function blockTest(block: IPBlock): ((address: Address) => boolean) | undefined {
  const [cidr, ...except] = [block.cidr, ...(block.except ?? [])].map(networkTest);
  if (cidr === undefined || !except.every((test) => test !== undefined)) return undefined;
  return (address) => cidr(address) && !except.some((test) => test(address));
}

function networkTest(cidr: string): ((address: Address) => boolean) | undefined {
  const net = parseNetwork(cidr);
  if (net === undefined) return undefined;
  const shift = BigInt(net.bits - net.length);
  const prefix = net.base >> shift;
  return ({ bits, value }) => bits === net.bits && value >> shift === prefix;
}

function parseIPv4(text: string): Address | undefined {
  const octets = text.split(".");
  // A leading zero is octal to some tools and decimal to others: such an address means two things.
  const sound = octets.every((octet) => /^(0|[1-9]\d{0,2})$/.test(octet) && Number(octet) <= 255);
  if (octets.length !== 4 || !sound) return undefined;
  return { bits: 32, value: BigInt(octets.reduce((sum, octet) => sum * 256 + Number(octet), 0)) };
}

function parseIPv6(text: string): Address | undefined {
  const halves = text.split("::").map((half) => (half === "" ? [] : half.split(":")));
  const [head = [], tail] = halves;
  const missing = 8 - head.length - (tail?.length ?? 0);
  if (halves.length > 2 || (tail === undefined ? missing !== 0 : missing < 1)) return undefined;
  const groups = tail === undefined ? head : [...head, ...Array<string>(missing).fill("0"), ...tail];
  if (!groups.every((group) => /^[0-9a-f]{1,4}$/i.test(group))) return undefined;
  return { bits: 128, value: BigInt(`0x${groups.map((group) => group.padStart(4, "0")).join("")}`) };
}

function dotted(value: number): string {
  return [24, 16, 8, 0].map((shift) => (value >>> shift) & 255).join(".");
}

function ipv6Text(value: bigint): string {
  const groups = Array.from({ length: 8 }, (_, index) => Number((value >> BigInt(112 - 16 * index)) & 0xffffn));
  const { start, length } = longestZeros(groups);
  // The C library shows the last 32 bits of mapped and compatible addresses as IPv4; the kernel's tools print by it.
  if (start === 0 && (length === 6 || (length === 5 && groups[5] === 0xffff))) {
    return `${length === 6 ? "::" : "::ffff:"}${dotted(Number(value & 0xffffffffn))}`;
  }
  const hex = (part: readonly number[]): string => part.map((group) => group.toString(16)).join(":");
  if (length < 2) return hex(groups);
  return `${hex(groups.slice(0, start))}::${hex(groups.slice(start + length))}`;
}

/** The longest run of zero groups, the first of equals. */
function longestZeros(groups: readonly number[]): { readonly start: number; readonly length: number } {
  let best = { start: 0, length: 0 };
  let start = 0;
  for (const [index, group] of groups.entries()) {
    if (group !== 0) start = index + 1;
    else if (index + 1 - start > best.length) best = { start, length: index + 1 - start };
  }
  return best;
}
