import type {
  GenerationMark, LocalPod, NodeDelta, PeerSetDelta, PeerSetId, PodUid, PolicyId, ResolvedPolicy,
} from "../api/node-state.ts";

/**
 * Changes that a slow reader has not been sent yet, one net change per object. Memory is bounded: past `limit` objects
 * and members it gives up, and only a fresh snapshot helps.
 */
export class PendingDelta {
  readonly #limit: number;
  readonly #policies = new Map<PolicyId, ResolvedPolicy | undefined>();
  readonly #pods = new Map<PodUid, LocalPod | undefined>();
  readonly #generations = new Map<string, GenerationMark | undefined>();
  readonly #peers = new Map<PeerSetId, MutableChange | undefined>();

  constructor(limit: number) {
    this.#limit = limit;
  }

  /** Adds a later delta. @returns false = too much, or nothing that one delta can say: send a snapshot instead */
  add(delta: NodeDelta): boolean {
    for (const [id, policy] of delta.policies) this.#policies.set(id, policy);
    for (const [uid, pod] of delta.pods) this.#pods.set(uid, pod);
    for (const [policy, mark] of delta.generations) this.#generations.set(policy, mark);
    for (const [id, change] of delta.peers) if (!this.#addPeers(id, change)) return false;
    return this.#size() <= this.#limit;
  }

  delta(): NodeDelta {
    const peers = new Map<PeerSetId, PeerSetDelta | undefined>();
    for (const [id, change] of this.#peers) {
      peers.set(id, change && { kind: change.kind, add: [...change.add], remove: [...change.remove] });
    }
    return { policies: this.#policies, pods: this.#pods, generations: this.#generations, peers };
  }

  #addPeers(id: PeerSetId, change: PeerSetDelta | undefined): boolean {
    if (change === undefined) {
      this.#peers.set(id, undefined);
      return true;
    }
    const earlier = this.#peers.has(id)
      ? this.#peers.get(id)
      : { kind: change.kind, add: new Set<string>(), remove: new Set<string>() };
    // Gone and back: the reader still has the old members, which nobody here remembers.
    if (earlier === undefined || earlier.kind !== change.kind) return false;
    for (const member of change.remove) if (!earlier.add.delete(member)) earlier.remove.add(member);
    for (const member of change.add) if (!earlier.remove.delete(member)) earlier.add.add(member);
    this.#peers.set(id, earlier);
    return true;
  }

  #size(): number {
    let size = this.#policies.size + this.#pods.size + this.#generations.size + this.#peers.size;
    for (const change of this.#peers.values()) if (change !== undefined) size += change.add.size + change.remove.size;
    return size;
  }
}

interface MutableChange {
  readonly kind: PeerSetDelta["kind"];
  readonly add: Set<string>;
  readonly remove: Set<string>;
}
