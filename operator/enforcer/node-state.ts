import type { NodeState } from "../api/node-state.ts";

export const EMPTY_STATE: NodeState = {
  policies: new Map(),
  pods: new Map(),
  peers: new Map(),
  generations: new Map(),
};

/**
 * Whether an address belongs to another pod than before. Its connections were the old pod's: the rules may be the same,
 * yet nothing that was allowed to the old pod is the new one's.
 */
export function addressChangedOwner(before: NodeState, after: NodeState): boolean {
  const owners = new Map(before.pods.values().flatMap((pod) => pod.addresses.map((address) => [address, pod.uid])));
  return after.pods.values().some((pod) => {
    return pod.addresses.some((address) => (owners.get(address) ?? pod.uid) !== pod.uid);
  });
}
