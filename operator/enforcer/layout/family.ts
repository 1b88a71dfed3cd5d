import type { Network } from "../../api/address.ts";
import { addressText as textOf, parseAddress, parseNetwork } from "../../api/address.ts";

/** IPv4 and IPv6 have rulesets of their own that share nothing, not even names. */
export type Family = "ipv4" | "ipv6";

export const FAMILIES: readonly Family[] = ["ipv4", "ipv6"];

/** Bits of an address. */
export const ADDRESS_BITS: Readonly<Record<Family, 32 | 128>> = { ipv4: 32, ipv6: 128 };

/** Family of an address, a network or an endpoint (`10.1.2.3,tcp:80`), without parsing it: sets can be very large. */
export function familyOf(member: string): Family {
  const colon = member.indexOf(":");
  const comma = member.indexOf(",");
  return colon === -1 || (comma !== -1 && comma < colon) ? "ipv4" : "ipv6";
}

/** @throws Error if `text` is no address of the family. */
export function addressValue(text: string, family: Family): bigint {
  const address = parseAddress(text);
  if (address?.bits !== ADDRESS_BITS[family]) throw new Error(`${text} is not an ${family} address`);
  return address.value;
}

/** The address as the kernel's tools print it. */
export function addressText(value: bigint, family: Family): string {
  return textOf({ bits: ADDRESS_BITS[family], value });
}

/** @throws Error if `cidr` is no network of the family. */
export function networkValue(cidr: string, family: Family): Network {
  const network = parseNetwork(cidr);
  if (network?.bits !== ADDRESS_BITS[family]) throw new Error(`${cidr} is not an ${family} network`);
  return network;
}
