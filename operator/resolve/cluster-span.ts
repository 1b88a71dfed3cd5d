import type {
  GenerationMark, LocalPod, NodeDelta, NodeState, PeerSetDelta, PodUid, PolicyId,
} from "../api/node-state.ts";
import type { LivePolicy } from "./live-policy.ts";
import { NodeSpan } from "./node-span.ts";
import type { LivePeerSet } from "./peer-set.ts";

/** Which node has been told what. */
export class ClusterSpan {
  readonly #nodes = new Map<string, NodeSpan>();
  /** By key of the pod: where it was last seen, and as whom. */
  readonly #places = new Map<string, { readonly node: NodeSpan; readonly uid: PodUid }>();
  readonly #segmentNodes = new Map<string, Set<NodeSpan>>();
  readonly #generations = new Map<string, number>();
  readonly #remarked = new Set<string>();
  readonly #touched = new Set<NodeSpan>();

  setGeneration(segment: string, generation: number | undefined): void {
    if (this.#generations.get(segment) === generation) return;
    if (generation === undefined) this.#generations.delete(segment);
    else this.#generations.set(segment, generation);
    this.#remarked.add(segment);
  }

  /** The pod of that key as it is on its node now; `undefined` = it is on none. */
  place(key: string, local: { readonly node: string; readonly pod: LocalPod } | undefined): void {
    const before = this.#places.get(key);
    const node = local && this.#node(local.node);
    if (before !== undefined && (before.node !== node || before.uid !== local?.pod.uid)) {
      before.node.putPod(before.uid, undefined);
      this.#touched.add(before.node);
    }
    if (local === undefined || node === undefined) {
      this.#places.delete(key);
      return;
    }
    node.putPod(local.pod.uid, local.pod);
    this.#touched.add(node);
    if (before?.node !== node || before.uid !== local.pod.uid) this.#places.set(key, { node, uid: local.pod.uid });
  }

  takeChanges(
    policies: ReadonlyMap<PolicyId, LivePolicy>,
    changedSets: ReadonlyMap<LivePeerSet, PeerSetDelta>,
  ): ReadonlyMap<string, NodeDelta> {
    for (const node of this.#touched) {
      for (const segment of node.settlePolicies(policies)) this.#settleMark(node, segment);
    }
    for (const segment of this.#remarked) {
      for (const node of this.#segmentNodes.get(segment) ?? []) this.#settleMark(node, segment);
    }
    const concerned = new Map<NodeSpan, Map<LivePeerSet, PeerSetDelta>>();
    for (const node of this.#touched) concerned.set(node, new Map());
    for (const [set, change] of changedSets) {
      for (const node of set.nodes) {
        const sets = concerned.get(node);
        if (sets === undefined) concerned.set(node, new Map([[set, change]]));
        else sets.set(set, change);
      }
    }
    this.#touched.clear();
    this.#remarked.clear();
    const deltas = new Map<string, NodeDelta>();
    for (const [node, sets] of concerned) {
      const delta = node.takeChanges(sets);
      if (delta !== undefined) deltas.set(node.name, delta);
      if (node.empty) this.#nodes.delete(node.name);
    }
    return deltas;
  }

  state(name: string): NodeState {
    return (this.#nodes.get(name) ?? new NodeSpan(name)).state();
  }

  marks(segment: string): ReadonlyMap<string, GenerationMark> {
    const marks = new Map<string, GenerationMark>();
    for (const node of this.#segmentNodes.get(segment) ?? []) {
      const mark = node.mark(segment);
      if (mark !== undefined) marks.set(node.name, mark);
    }
    return marks;
  }

  #settleMark(node: NodeSpan, segment: string): void {
    const nodes = this.#segmentNodes.get(segment) ?? new Set<NodeSpan>();
    if (node.settleMark(segment, this.#generations.get(segment))) nodes.add(node);
    else nodes.delete(node);
    if (nodes.size > 0) this.#segmentNodes.set(segment, nodes);
    else this.#segmentNodes.delete(segment);
    this.#touched.add(node);
  }

  #node(name: string): NodeSpan {
    let node = this.#nodes.get(name);
    if (node === undefined) this.#nodes.set(name, node = new NodeSpan(name));
    return node;
  }
}
