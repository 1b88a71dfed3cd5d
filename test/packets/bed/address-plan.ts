import type { Family } from "../../../operator/enforcer/layout/family.ts";
import type { AddressPlan } from "../../cases/case.ts";

/** Hosts of the bed: two nodes, their pods, and the world outside. */
export const PODS = { a: "left", b: "left", c: "left", d: "right", e: "right" } as const;
export const NODES = ["left", "right"] as const;
export const HOSTS = ["a", "b", "c", "d", "e", "left", "right", "wan"] as const;

export type PodHost = keyof typeof PODS;
export type NodeHost = (typeof NODES)[number];
export type HostName = (typeof HOSTS)[number];

/** Every host listens on these. */
export const TCP_PORTS: readonly number[] = [80, 81, 82, 5432];
export const UDP_PORTS: readonly number[] = [53, 54];

export const FAMILIES: readonly Family[] = ["ipv4", "ipv6"];

/** Share of a node in the pod network; `.1` of it is the node's own where its pods are on a bridge. */
export const POD_NETS: Readonly<Record<NodeHost, Readonly<Record<Family, string>>>> = {
  left: { ipv4: "10.101.1.0/24", ipv6: "fd00:10:101:1::/64" },
  right: { ipv4: "10.101.2.0/24", ipv6: "fd00:10:101:2::/64" },
};

/** All namespaces are the bed's own, so every bed has the same addresses. */
export const ADDRESSES: Readonly<Record<HostName, Readonly<Record<Family, string>>>> = {
  a: { ipv4: "10.101.1.2", ipv6: "fd00:10:101:1::2" },
  b: { ipv4: "10.101.1.3", ipv6: "fd00:10:101:1::3" },
  c: { ipv4: "10.101.1.4", ipv6: "fd00:10:101:1::4" },
  d: { ipv4: "10.101.2.2", ipv6: "fd00:10:101:2::2" },
  e: { ipv4: "10.101.2.3", ipv6: "fd00:10:101:2::3" },
  left: { ipv4: "172.30.0.11", ipv6: "fd00:172:30::11" },
  right: { ipv4: "172.30.0.12", ipv6: "fd00:172:30::12" },
  wan: { ipv4: "203.0.113.10", ipv6: "2001:db8:203::10" },
};

/** ClusterIPs are from here. */
export const SERVICE_NETS: Readonly<Record<Family, string>> = { ipv4: "10.96.0.0/16", ipv6: "fd00:10:96::/112" };

/** What cases need to know of a bed whose pods have addresses of these families. */
export function planOf(families: readonly Family[]): AddressPlan {
  return {
    families,
    address: (host, family) => ADDRESSES[host][family],
    serviceNet: (family) => SERVICE_NETS[family],
  };
}

export const PLAN = planOf(FAMILIES);

/** Of the network of the nodes on which `wan` is the router. */
export const ROUTER: Readonly<Record<Family, string>> = { ipv4: "172.30.0.1", ipv6: "fd00:172:30::1" };

/** What pods use as their gateway: on routed interfaces any address does, on a bridge it is the node's. */
export function gateway(node: NodeHost, wiring: "ptp" | "bridge", family: Family): string {
  if (wiring === "ptp") return family === "ipv4" ? "169.254.1.1" : "fe80::1";
  return POD_NETS[node][family].replace("0/24", "1").replace("/64", "1");
}

export function podsOn(node: NodeHost): readonly PodHost[] {
  return (Object.keys(PODS) as PodHost[]).filter((pod) => PODS[pod] === node);
}
