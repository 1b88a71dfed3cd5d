import type { NodeState, PeerSetId, PeerSetKind } from "../api/node-state.ts";

/**
 * What makes a state impossible to enforce as meant, or `undefined`. A policy whose peer set is missing would allow
 * less than it says, a pod whose policy is missing would be open or be audited by less than counts: none of these may
 * reach the kernel.
 */
export function contradiction(state: NodeState): string | undefined {
  for (const { id, ingress, egress } of state.policies.values()) {
    for (const { peers, endpoints } of [...ingress, ...egress]) {
      const problem = peers === "any" ? undefined : problemOf(state, peers.sets, "address");
      const found = problem ?? problemOf(state, endpoints, "endpoint");
      if (found !== undefined) return `policy ${id} refers to ${found}`;
    }
  }
  for (const { namespace, name, ingress, egress, audits = [] } of state.pods.values()) {
    const audited = audits.flatMap((audit) => [...audit.ingress, ...audit.egress]);
    const stranger = [...ingress, ...egress, ...audited].find((id) => !state.policies.has(id));
    if (stranger !== undefined) return `pod ${namespace}/${name} refers to policy ${stranger}, which is unknown`;
  }
  return undefined;
}

function problemOf(state: NodeState, ids: readonly PeerSetId[], kind: PeerSetKind): string | undefined {
  for (const id of ids) {
    const set = state.peers.get(id);
    if (set === undefined) return `peer set ${id}, which is unknown`;
    if (set.kind !== kind) return `peer set ${id} as one of kind ${kind}, but it is of kind ${set.kind}`;
  }
  return undefined;
}
