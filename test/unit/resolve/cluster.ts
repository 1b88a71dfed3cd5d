import { readNetworkPolicy } from "../../../operator/api/network-policy-parser.ts";
import type { NetworkPolicy } from "../../../operator/api/network-policy.ts";
import type { NodeDelta, NodeState } from "../../../operator/api/node-state.ts";
import type { Namespace, Pod } from "../../../operator/api/workload.ts";

export function namespace(name: string, labels: Namespace["labels"] = {}, rest: Partial<Namespace> = {}): Namespace {
  return { name, uid: name, labels: { "kubernetes.io/metadata.name": name, ...labels }, terminating: false, ...rest };
}

/** `id` is `<namespace>/<name>`; the uid is the name unless told otherwise. */
export function pod(id: string, node: string, addresses: readonly string[], labels: Pod["labels"],
  rest: Partial<Pod> = {}): Pod {
  const [space = "", name = ""] = id.split("/");
  const none = { hostNetwork: false, finished: false, deleting: false, ports: [] };
  return { namespace: space, name, uid: name, labels, nodeName: node, addresses, ...none, ...rest };
}

/** As the API server would send it; `segment` makes it one that we generated, or would, for `tier` if it is for one. */
export function policy(id: string, spec: object, segment?: string, tier?: string): NetworkPolicy {
  const [space, name] = id.split("/");
  return readNetworkPolicy({
    metadata: {
      namespace: space, name, uid: id,
      ...(segment !== undefined && {
        labels: { "tierwall.io/policy": segment, ...(tier !== undefined && { "tierwall.io/tier": tier }) },
        managedFields: [{ manager: "tierwall", operation: "Apply" }],
      }),
    },
    spec,
  });
}

/** A state as plain sorted data, for comparison. */
export function plain(state: NodeState): unknown {
  const entries = <K extends string, V>(map: ReadonlyMap<K, V>) => [...map].toSorted(([a], [b]) => (a < b ? -1 : 1));
  return {
    policies: entries(state.policies),
    pods: entries(state.pods),
    peers: entries(state.peers).map(([id, { kind, members }]) => [id, kind, [...members].toSorted()]),
    generations: entries(state.generations),
  };
}

/** An independent reading of the contract of NodeDelta; refuses what would not be a net change. */
export function apply(state: NodeState, delta: NodeDelta): NodeState {
  const peers = new Map(state.peers);
  for (const [id, change] of delta.peers) {
    if (change === undefined) {
      if (!peers.delete(id)) throw new Error(`unknown set ${id} taken away`);
      continue;
    }
    const members = new Set(peers.get(id)?.members);
    for (const member of change.remove) if (!members.delete(member)) throw new Error(`${member} was not there`);
    for (const member of change.add) {
      if (members.has(member)) throw new Error(`${member} was there`);
      members.add(member);
    }
    peers.set(id, { kind: change.kind, members });
  }
  return {
    policies: merge(state.policies, delta.policies),
    pods: merge(state.pods, delta.pods),
    peers,
    generations: merge(state.generations, delta.generations),
  };
}

export const NOTHING: NodeState = { policies: new Map(), pods: new Map(), peers: new Map(), generations: new Map() };

function merge<K, V>(map: ReadonlyMap<K, V>, changes: ReadonlyMap<K, V | undefined>): ReadonlyMap<K, V> {
  const merged = new Map(map);
  for (const [key, value] of changes) {
    if (value === undefined) merged.delete(key);
    else merged.set(key, value);
  }
  return merged;
}
