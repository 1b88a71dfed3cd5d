import { selects } from "../api/label-selector.ts";
import type { NetworkPolicy } from "../api/network-policy.ts";
import type { SegmentNodeReport } from "../api/segment-node-parser.ts";
import type { SegmentPolicy, SegmentPolicySpec } from "../api/segment-policy.ts";
import type { Namespace, Node, Pod } from "../api/workload.ts";
import type { Resolver } from "../resolve/resolver.ts";
import type { PolicyView } from "./policy-view.ts";

/** One object as it was and as it is; `undefined` = not there. */
export interface Turn<T> {
  readonly previous: T | undefined;
  readonly current: T | undefined;
}

/** Where work is put, by name of the object it concerns. */
export interface Work {
  /** Bring a SegmentPolicy's NetworkPolicies into line. */
  policy(name: string): void;
  /** Look at a SegmentPolicy's status again. */
  status(name: string): void;
  /** Pods of a SegmentPolicy's namespaces, or others' NetworkPolicies there, have changed: soon its status may too. */
  counts(name: string): void;
  /** A Node came or went: its SegmentNode may have to be made. */
  node(name: string): void;
  /** The enforcers' DaemonSet, or another CNI's, has changed. */
  enforcers(): void;
  /** The resolver has something to tell the nodes. */
  publish(): void;
}

/** Tells, for each kind of object that changes, who has to know. The one place where that is written down. */
export class ChangeRouter {
  readonly #resolver: Resolver;
  readonly #view: PolicyView;
  readonly #work: Work;
  readonly #segmentPolicies: ReadonlyMap<string, SegmentPolicy>;
  readonly #segmentNodes: ReadonlyMap<string, SegmentNodeReport>;
  readonly #ownRoad: () => NetworkPolicy;

  constructor(deps: {
    readonly resolver: Resolver;
    readonly view: PolicyView;
    readonly work: Work;
    readonly segmentPolicies: ReadonlyMap<string, SegmentPolicy>;
    readonly segmentNodes: ReadonlyMap<string, SegmentNodeReport>;
    /** What the operator's own pods may always do, as far as is known now. */
    readonly ownRoad: () => NetworkPolicy;
  }) {
    this.#resolver = deps.resolver;
    this.#view = deps.view;
    this.#work = deps.work;
    this.#segmentPolicies = deps.segmentPolicies;
    this.#segmentNodes = deps.segmentNodes;
    this.#ownRoad = deps.ownRoad;
  }

  segmentPolicy({ previous, current }: Turn<SegmentPolicy>): void {
    const name = (current ?? previous)?.metadata.name;
    if (name === undefined) return;
    // Our own status writes come back as changes too; they ask for nothing.
    const same =
      previous !== undefined &&
      current !== undefined &&
      previous.metadata.uid === current.metadata.uid &&
      previous.metadata.generation === current.metadata.generation &&
      previous.metadata.deleting === current.metadata.deleting &&
      previous.finalizers.length === current.finalizers.length;
    if (!same) this.#work.policy(name);
  }

  networkPolicy({ previous, current }: Turn<NetworkPolicy>): void {
    if (current !== undefined) {
      this.#view.observe(current);
      this.#resolver.setNetworkPolicy(current);
    } else if (previous !== undefined) {
      this.#view.observeDeleted(previous);
      this.#resolver.deleteNetworkPolicy(previous.metadata.namespace, previous.metadata.name);
    }
    for (const policy of [previous, current]) {
      if (policy === undefined) continue;
      for (const name of this.#view.concernedBy(policy)) this.#work.policy(name);
    }
    // Whoever else has parts in this namespace is perhaps widened by it.
    this.#recount((current ?? previous)?.metadata.namespace);
    this.#work.publish();
  }

  namespace({ previous, current }: Turn<Namespace>): void {
    if (current !== undefined) {
      this.#view.setNamespace(current.name);
      this.#resolver.setNamespace(current);
    } else if (previous !== undefined) {
      this.#view.deleteNamespace(previous.name);
      this.#resolver.deleteNamespace(previous.name);
    }
    const held = [previous, current].filter((namespace) => namespace !== undefined);
    for (const { metadata, verdict } of this.#segmentPolicies.values()) {
      if (!verdict.accepted) continue;
      const { namespaceSelector } = verdict.spec;
      if (held.some(({ labels }) => selects(namespaceSelector, labels))) this.#work.policy(metadata.name);
    }
    this.#work.publish();
  }

  pod({ previous, current }: Turn<Pod>): void {
    if (current !== undefined) this.#resolver.setPod(current);
    else if (previous !== undefined) this.#resolver.deletePod(previous.namespace, previous.name, previous.uid);
    if (!countsTheSame(previous, current)) this.#recount((current ?? previous)?.namespace);
    this.#work.publish();
  }

  node({ previous, current }: Turn<Node>): void {
    const name = (current ?? previous)?.name;
    if (!sameNetwork(previous, current)) this.#nodeAddresses([previous, current].filter((node) => node !== undefined));
    if (name === undefined || (previous?.uid === current?.uid && previous?.ready === current?.ready)) return;
    this.#work.node(name);
    for (const policy of this.#segmentNodes.get(name)?.status.policies ?? []) this.#work.status(policy.name);
  }

  segmentNode({ previous, current }: Turn<SegmentNodeReport>): void {
    if (current === undefined && previous !== undefined) this.#work.node(previous.name);
    for (const policy of concerned(previous, current)) this.#work.status(policy);
  }

  enforcers(): void {
    this.#work.enforcers();
  }

  /** The addresses of the cluster's DNS and of the API server may be in every segment, and are on our own road. */
  facts(): void {
    this.#resolver.setOwnRoad(this.#ownRoad());
    this.#work.publish();
    for (const name of this.#segmentPolicies.keys()) this.#work.policy(name);
  }

  #recount(namespace: string | undefined): void {
    for (const name of namespace === undefined ? [] : this.#view.ownersIn(namespace)) this.#work.counts(name);
  }

  /** To those whose rules name the node, as it was or as it is. */
  #nodeAddresses(nodes: readonly Node[]): void {
    for (const { metadata, verdict } of this.#segmentPolicies.values()) {
      if (verdict.accepted && namesNode(verdict.spec, nodes)) this.#work.policy(metadata.name);
    }
  }
}

function namesNode({ tiers }: SegmentPolicySpec, nodes: readonly Node[]): boolean {
  const rules = tiers.flatMap(({ ingress, egress }) => [...ingress, ...egress]);
  return rules.some(({ peers }) =>
    peers.some((peer) => peer.kind === "nodes" && nodes.some(({ labels }) => selects(peer.selector, labels))),
  );
}

/** Whether packets of a node look as before, and the same selectors name it. */
function sameNetwork(a: Node | undefined, b: Node | undefined): boolean {
  const text = (node: Node | undefined) => JSON.stringify([node?.addresses, node?.podCIDRs, node?.labels]);
  return text(a) === text(b);
}

/** Whether a pod is of the same tiers as before, and stands on the same side of quarantine. */
function countsTheSame(a: Pod | undefined, b: Pod | undefined): boolean {
  const text = (pod: Pod | undefined) => JSON.stringify([pod?.uid, pod?.labels, pod?.finished]);
  return text(a) === text(b);
}

/** The SegmentPolicies on whose status a change of a SegmentNode bears. */
function concerned(
  previous: SegmentNodeReport | undefined,
  current: SegmentNodeReport | undefined,
): ReadonlySet<string> {
  const texts = (report: SegmentNodeReport | undefined) =>
    new Map((report?.status.policies ?? []).map((entry) => [entry.name, JSON.stringify(entry)]));
  const [before, after] = [texts(previous), texts(current)];
  const names = new Set([...before.keys(), ...after.keys()]);
  const health = (report: SegmentNodeReport | undefined) =>
    report?.status.conditions.find(({ type }) => type === "Ready")?.status;
  if (health(previous) !== health(current)) return names;
  return new Set([...names].filter((name) => before.get(name) !== after.get(name)));
}
