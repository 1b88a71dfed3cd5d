import type { NodeState } from "../api/node-state.ts";
import type { Family } from "./layout/family.ts";
import { familyOf } from "./layout/family.ts";

export const EMPTY_STATE: NodeState = {
  policies: new Map(),
  pods: new Map(),
  peers: new Map(),
  generations: new Map(),
};

export interface OwnerChanges {
  /**
   * Addresses that belong to another pod than before. Their connections were the old pod's: the rules may be the same,
   * yet nothing that was allowed to the old pod is the new one's.
   */
  readonly moved: readonly string[];
  /** Addresses that no pod has any more. */
  readonly left: readonly string[];
  /** Addresses that a pod has now and had not before. */
  readonly came: readonly string[];
}

const UNCHANGED: OwnerChanges = { moved: [], left: [], came: [] };

/** What became of the addresses of one family from one state to the next. */
export function changedOwners(before: NodeState | undefined, after: NodeState, family: Family): OwnerChanges {
  if (before?.pods === after.pods) return UNCHANGED;
  const now = ownersOf(after, family);
  const old = ownersOf(before ?? EMPTY_STATE, family);
  const moved = [...now].filter(([address, uid]) => (old.get(address) ?? uid) !== uid).map(([address]) => address);
  return {
    moved,
    left: [...old.keys()].filter((address) => !now.has(address)),
    came: [...now.keys()].filter((address) => !old.has(address)),
  };
}

/** The state with nobody at these addresses but the pods themselves: what their new owners may do comes later. */
export function withoutMembers(state: NodeState, addresses: readonly string[]): NodeState {
  const gone = new Set(addresses);
  const peers = state.peers.entries().map(([id, set]) => {
    const members = [...set.members].filter((member) => !gone.has(member.split(",", 1)[0] ?? ""));
    return [id, members.length === set.members.size ? set : { ...set, members: new Set(members) }] as const;
  });
  return { ...state, peers: new Map(peers) };
}

function ownersOf({ pods }: NodeState, family: Family): ReadonlyMap<string, string> {
  return new Map(
    pods.values().flatMap(({ addresses, uid }) => {
      return addresses.filter((address) => familyOf(address) === family).map((address) => [address, uid] as const);
    }),
  );
}
