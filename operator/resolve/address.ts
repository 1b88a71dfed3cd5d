import type { IPBlock } from "../api/network-policy.ts";

/** An IP address as a number, and the number of bits of its family. */
export interface Address {
  readonly bits: 32 | 128;
  readonly value: bigint;
}

/** An IP address from its usual text; `undefined` for what is none. IPv4 in IPv6 text is none: sets hold one family. */
export function parseAddress(text: string): Address | undefined {
  return text.includes(":") ? parseIPv6(text) : parseIPv4(text);
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

/** Tells whether an address lies in an `ipBlock`; `undefined` for a block that cannot be read, `except` included. */
export function blockTest(block: IPBlock): ((address: Address) => boolean) | undefined {
  const [cidr, ...except] = [block.cidr, ...(block.except ?? [])].map(cidrTest);
  if (cidr === undefined || !except.every((test) => test !== undefined)) return undefined;
  return (address) => cidr(address) && !except.some((test) => test(address));
}

function cidrTest(cidr: string): ((address: Address) => boolean) | undefined {
  const [base = "", length = "", ...rest] = cidr.split("/");
  const net = parseAddress(base);
  if (net === undefined || rest.length > 0 || !/^\d{1,3}$/.test(length) || Number(length) > net.bits) return undefined;
  const shift = BigInt(net.bits - Number(length));
  const prefix = net.value >> shift;
  return ({ bits, value }) => bits === net.bits && value >> shift === prefix;
}
