/**
 * An address as its bits in text, `0`s and `1`s: 32 of them for IPv4, 128 for IPv6. Slow and plain: that one lies in a
 * network is that it starts with the network's bits.
 */
export type Bits = string;

/** What may stand between two dots. A leading zero means octal to some and decimal to others: such a text is no octet. */
const OCTETS: ReadonlyMap<string, Bits> = new Map(
  Array.from({ length: 256 }, (_, value) => [String(value), binary(value, 8)]),
);

/** `undefined` for what is no address, an IPv4 address inside IPv6 text included. */
export function bitsOf(address: string): Bits | undefined {
  return address.includes(":") ? bitsOfIPv6(address) : bitsOfIPv4(address);
}

/** Whether a network (`10.0.0.0/8`) holds the address; `undefined` if it cannot be read. Host bits do not count. */
export function holds(cidr: string, address: Bits): boolean | undefined {
  const [text = "", width = "", ...more] = cidr.split("/");
  const base = bitsOf(text);
  if (base === undefined || more.length > 0 || !/^[0-9]{1,3}$/.test(width)) return undefined;
  const length = Number(width);
  if (length > base.length) return undefined;
  return base.length === address.length && address.startsWith(base.slice(0, length));
}


function bitsOfIPv4(text: string): Bits | undefined {
  const octets = text.split(".").map((part) => OCTETS.get(part));
  return octets.length === 4 && octets.every((octet) => octet !== undefined) ? octets.join("") : undefined;
}

function bitsOfIPv6(text: string): Bits | undefined {
  const [before = "", after, ...more] = text.split("::");
  if (more.length > 0) return undefined;
  const groups = (half: string): readonly string[] => (half === "" ? [] : half.split(":"));
  const left = groups(before);
  const right = groups(after ?? "");
  const missing = 8 - left.length - right.length;
  // "::" stands for at least one group; without it all eight are written.
  if (after === undefined ? missing !== 0 : missing < 1) return undefined;
  const all = [...left, ...Array<string>(missing).fill("0"), ...right];
  if (all.some((group) => !/^[0-9a-fA-F]{1,4}$/.test(group))) return undefined;
  return all.map((group) => binary(Number.parseInt(group, 16), 16)).join("");
}

function binary(value: number, digits: number): string {
  return value.toString(2).padStart(digits, "0");
}
