import type { LocalPod, NodeState, PeerSetId, PeerSetKind, ResolvedPolicy } from "../api/node-state.ts";

/** What has changed from a state that was free of contradictions. */
export interface Changed {
  readonly policies: Iterable<ResolvedPolicy | undefined>;
  readonly pods: Iterable<LocalPod | undefined>;
  /** A policy or a peer set is gone: whatever stayed may refer to it. */
  readonly losing: boolean;
}

/**
 * What makes a state impossible to enforce as meant, or `undefined`. A policy whose peer set is missing would allow
 * less than it says, a pod whose policy is missing would be open or be audited by less than counts: none of these may
 * reach the kernel.
 */
export function contradiction(state: NodeState, changed: Changed): string | undefined {
  const { policies, pods } = changed.losing ? { policies: state.policies.values(), pods: state.pods.values() } : changed;
  return problemOfPolicies(state, policies) ?? problemOfPods(state, pods);
}

function problemOfPolicies(state: NodeState, policies: Changed["policies"]): string | undefined {
  for (const policy of policies) {
    if (policy === undefined) continue;
    const { id, ingress, egress } = policy;
    for (const { peers, endpoints } of [...ingress, ...egress]) {
      const problem = peers === "any" ? undefined : problemOf(state, peers.sets, "address");
      const found = problem ?? problemOf(state, endpoints, "endpoint");
      if (found !== undefined) return `policy ${id} refers to ${found}`;
    }
  }
  return undefined;
}

function problemOfPods(state: NodeState, pods: Changed["pods"]): string | undefined {
  for (const pod of pods) {
    if (pod === undefined) continue;
    const { namespace, name, ingress, egress, audits = [] } = pod;
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
