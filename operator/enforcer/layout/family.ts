import { IPv4, IPv6 } from "ip-num";

/** IPv4 and IPv6 have rulesets of their own that share nothing, not even names. */
export type Family = "ipv4" | "ipv6";

/** Bits of an address. */
export const ADDRESS_BITS: Readonly<Record<Family, number>> = { ipv4: 32, ipv6: 128 };

/** Family of an address or of an endpoint (`10.1.2.3,tcp:80`), without parsing it: peer sets have very many members. */
export function familyOf(member: string): Family {
  const colon = member.indexOf(":");
  const comma = member.indexOf(",");
  return colon === -1 || (comma !== -1 && comma < colon) ? "ipv4" : "ipv6";
}

/** @throws Error if `text` is no address of the family. */
export function addressValue(text: string, family: Family): bigint {
  return family === "ipv4" ? IPv4.fromString(text).value : IPv6.fromString(text).value;
}

/** The address as the kernel's tools print it. */
export function addressText(value: bigint, family: Family): string {
  return family === "ipv4" ? new IPv4(value).toString() : new IPv6(value).toString();
}
