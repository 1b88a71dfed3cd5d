import type { NetworkPolicyPeer } from "../api/network-policy.ts";
import type { Settings } from "../api/settings.ts";
import type { DnsFacts } from "../compile/facts.ts";

/**
 * The DNS peers of the settings with each Service replaced by its cluster addresses. A Service without an address
 * yields no peer, and its name among the unknown: it matches nothing, never everything.
 */
export function dnsFacts(
  { peers, ports }: Settings["dns"],
  clusterIPs: (namespace: string, name: string) => readonly string[],
): { readonly facts: DnsFacts; readonly unknown: readonly string[] } {
  const unknown: string[] = [];
  const known = peers.flatMap((entry): readonly NetworkPolicyPeer[] => {
    if (entry.kind === "peer") return [entry.peer];
    const addresses = clusterIPs(entry.namespace, entry.name);
    if (addresses.length === 0) unknown.push(`the address of Service ${entry.namespace}/${entry.name}`);
    return addresses.map((address) => ({
      ipBlock: { cidr: address.includes(":") ? `${address}/128` : `${address}/32` },
    }));
  });
  return { facts: { peers: known, ports }, unknown };
}
