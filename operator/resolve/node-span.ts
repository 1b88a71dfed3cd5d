import { compare } from "../api/label-selector.ts";
import type {
  GenerationMark, LocalPod, NodeDelta, NodeState, PeerSetDelta, PeerSetId, PodUid, PolicyId,
} from "../api/node-state.ts";
import { digest } from "./digest.ts";
import type { LivePolicy } from "./live-policy.ts";
import type { LivePeerSet } from "./peer-set.ts";
import { TrackedMap } from "./tracked-map.ts";

/** What one node has been told: its own pods, the policies these list, and the peer sets those name. Nothing else. */
export class NodeSpan {
  readonly name: string;
  readonly #pods = new TrackedMap<PodUid, LocalPod>((a, b) => JSON.stringify(a) === JSON.stringify(b));
  readonly #policies = new TrackedMap<PolicyId, LivePolicy>((a, b) => a.hash === b.hash);
  readonly #peerSets = new TrackedMap<PeerSetId, LivePeerSet>((a, b) => a === b);
  readonly #marks = new TrackedMap<string, GenerationMark>(sameMark);
  readonly #policyUses = new Map<PolicyId, number>();
  readonly #peerSetUses = new Map<LivePeerSet, number>();
  readonly #touched = new Set<PolicyId>();

  constructor(name: string) {
    this.name = name;
  }

  get empty(): boolean {
    return this.#pods.values.size === 0;
  }

  /** A pod on this node as it is now, or `undefined` for one that has left. */
  putPod(uid: PodUid, pod: LocalPod | undefined): void {
    for (const id of policiesOf(this.#pods.values.get(uid))) this.#usePolicy(id, -1);
    for (const id of policiesOf(pod)) this.#usePolicy(id, 1);
    this.#pods.put(uid, pod);
  }

  /** Brings policies and peer sets in line with the pods. Returns the segments that are concerned. */
  settlePolicies(live: ReadonlyMap<PolicyId, LivePolicy>): ReadonlySet<string> {
    const segments = new Set<string>();
    for (const id of this.#touched) {
      const before = this.#policies.values.get(id);
      const after = this.#policyUses.has(id) ? live.get(id) : undefined;
      if (before === after) continue;
      for (const set of after?.peerSets ?? []) this.#usePeerSet(set, 1);
      for (const set of before?.peerSets ?? []) this.#usePeerSet(set, -1);
      this.#policies.put(id, after);
      if (before?.segment !== undefined) segments.add(before.segment);
      if (after?.segment !== undefined) segments.add(after.segment);
    }
    this.#touched.clear();
    return segments;
  }

  /** Writes the mark of a segment; returns whether the segment is on this node at all. */
  settleMark(segment: string, generation: number | undefined): boolean {
    const parts = [...this.#policies.values.values()].filter((policy) => policy.segment === segment);
    const text = parts.map(({ id, hash }) => `${id} ${hash}`).toSorted(compare).join("\n");
    const present = parts.length > 0;
    this.#marks.put(segment, present && generation !== undefined ? { generation, revision: digest(text) } : undefined);
    return present;
  }

  mark(segment: string): GenerationMark | undefined {
    return this.#marks.values.get(segment);
  }

  /** What has changed since the last call; `changedSets` are the sets whose members have, net. */
  takeChanges(changedSets: ReadonlyMap<LivePeerSet, PeerSetDelta>): NodeDelta | undefined {
    const peers = new Map<PeerSetId, PeerSetDelta | undefined>();
    for (const [id, set] of this.#peerSets.takeChanges()) {
      peers.set(id, set && { kind: set.kind, add: [...set.members], remove: [] });
    }
    for (const [set, change] of changedSets) {
      if (this.#peerSetUses.has(set) && !peers.has(set.id)) peers.set(set.id, change);
    }
    const delta: NodeDelta = {
      policies: new Map(this.#policies.takeChanges().entries().map(([id, policy]) => [id, policy?.resolved] as const)),
      pods: this.#pods.takeChanges(),
      peers,
      generations: this.#marks.takeChanges(),
    };
    const { policies, pods, generations } = delta;
    return policies.size + pods.size + peers.size + generations.size > 0 ? delta : undefined;
  }

  /** As of the last `takeChanges`. The members are views: read them before the next one. */
  state(): NodeState {
    return {
      policies: new Map(this.#policies.values.entries().map(([id, { resolved }]) => [id, resolved])),
      pods: new Map(this.#pods.values),
      peers: new Map(this.#peerSets.values.entries().map(([id, { kind, members }]) => [id, { kind, members }])),
      generations: new Map(this.#marks.values),
    };
  }

  #usePolicy(id: PolicyId, by: 1 | -1): void {
    count(this.#policyUses, id, by);
    this.#touched.add(id);
  }

  #usePeerSet(set: LivePeerSet, by: 1 | -1): void {
    if (count(this.#peerSetUses, set, by)) {
      this.#peerSets.put(set.id, set);
      set.nodes.add(this);
    } else {
      this.#peerSets.put(set.id, undefined);
      set.nodes.delete(this);
    }
  }
}

function sameMark(a: GenerationMark, b: GenerationMark): boolean {
  return a.generation === b.generation && a.revision === b.revision;
}

function policiesOf(pod: LocalPod | undefined): Iterable<PolicyId> {
  if (pod === undefined) return [];
  const audited = (pod.audits ?? []).flatMap(({ ingress, egress }) => [...ingress, ...egress]);
  return new Set([...pod.ingress, ...pod.egress, ...audited]);
}

/** Returns whether any use is left. */
function count<Key>(uses: Map<Key, number>, key: Key, by: 1 | -1): boolean {
  const left = (uses.get(key) ?? 0) + by;
  if (left === 0) uses.delete(key);
  else uses.set(key, left);
  return left > 0;
}
