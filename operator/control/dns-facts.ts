import type { NetworkPolicyPeer } from "../api/network-policy.ts";
import type { Settings } from "../api/settings.ts";
import type { DnsFacts } from "../compile/facts.ts";

/**
 * The DNS peers of the settings with each Service replaced by its cluster addresses. A Service without an address
 * yields no peer, and its name among the unknown: it matches nothing, never everything.
 */
export function dnsFacts(
  { peers, ports }: Settings["dns"],
  clusterIPs: (namespace: string, name: string) => { readonly addresses: readonly string[]; readonly stale: boolean },
): DnsFacts {
  const unknown: string[] = [];
  const stale: string[] = [];
  const known = peers.flatMap((entry): readonly NetworkPolicyPeer[] => {
    if (entry.kind === "peer") return [entry.peer];
    const found = clusterIPs(entry.namespace, entry.name);
    const fact = `the address of Service ${entry.namespace}/${entry.name}`;
    if (found.addresses.length === 0) unknown.push(fact);
    else if (found.stale) stale.push(fact);
    return found.addresses.map((address) => ({
      ipBlock: { cidr: address.includes(":") ? `${address}/128` : `${address}/32` },
    }));
  });
  return { peers: known, ports, unknown, stale };
}
