import type { NodeState, PodUid } from "../api/node-state.ts";
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

/** To whom the addresses of one family belong, in one state after the other. */
export class Owners {
  readonly #family: Family;
  readonly #known = new WeakMap<NodeState["pods"], ReadonlyMap<string, PodUid>>();

  constructor(family: Family) {
    this.#family = family;
  }

  /** What becomes of the addresses from one state to the next. */
  changes(before: NodeState | undefined, after: NodeState): OwnerChanges {
    if (before?.pods === after.pods) return UNCHANGED;
    const [old, now] = [this.#of(before ?? EMPTY_STATE), this.#of(after)];
    return {
      moved: [...now].filter(([address, uid]) => (old.get(address) ?? uid) !== uid).map(([address]) => address),
      left: [...old.keys()].filter((address) => !now.has(address)),
      came: [...now.keys()].filter((address) => !old.has(address)),
    };
  }

  #of({ pods }: NodeState): ReadonlyMap<string, PodUid> {
    const known = this.#known.get(pods);
    if (known !== undefined) return known;
    const owners = new Map<string, PodUid>();
    for (const { addresses, uid } of pods.values()) {
      for (const address of addresses) if (familyOf(address) === this.#family) owners.set(address, uid);
    }
    this.#known.set(pods, owners);
    return owners;
  }
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
