import type { AddressPlan, Family, Host } from "../../cases/case.ts";

const ADDRESSES: Readonly<Record<Host, Readonly<Record<Family, string>>>> = {
  a: { ipv4: "10.1.1.2", ipv6: "fd00:1:1::2" },
  b: { ipv4: "10.1.1.3", ipv6: "fd00:1:1::3" },
  c: { ipv4: "10.1.1.77", ipv6: "fd00:1:1::77" },
  d: { ipv4: "10.1.2.2", ipv6: "fd00:1:2::2" },
  e: { ipv4: "10.1.2.3", ipv6: "fd00:1:2::3" },
  left: { ipv4: "172.20.0.1", ipv6: "fd00:99::1" },
  right: { ipv4: "172.20.0.2", ipv6: "fd00:99::2" },
  wan: { ipv4: "203.0.113.9", ipv6: "2001:db8::9" },
};

/** Addresses for rows that no packet is sent for. */
export function plan(families: readonly Family[]): AddressPlan {
  return {
    families,
    address: (host, family) => ADDRESSES[host][family],
    serviceNet: (family) => (family === "ipv4" ? "10.96.0.0/16" : "fd00:96::/112"),
  };
}
