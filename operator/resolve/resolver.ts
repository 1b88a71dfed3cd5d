import { canonicalJson } from "../api/canonical-json.ts";
import { compare } from "../api/label-selector.ts";
import { TIER_LABEL } from "../api/meta.ts";
import { generatedFrom, type Direction, type NetworkPolicy } from "../api/network-policy.ts";
import type { GenerationMark, LocalPod, NodeDelta, NodeState, PolicyId } from "../api/node-state.ts";
import type { Namespace, Pod } from "../api/workload.ts";
import { parseAddress } from "../api/address.ts";
import { AddressBook } from "./address-book.ts";
import { ClusterSpan } from "./cluster-span.ts";
import { digest } from "./digest.ts";
import { LivePod, meansTheSame } from "./live-pod.ts";
import { auditsOf, isolatingPolicies, type Effect, type LivePolicy } from "./live-policy.ts";
import type { LivePeerSet } from "./peer-set.ts";
import type { NamespaceHome, PodGroup } from "./pod-group.ts";
import { PodGroups } from "./pod-groups.ts";
import { auditId, policyId, resolvePolicy } from "./policy-resolution.ts";

/** Path of the selector that says whom a NetworkPolicy protects. */
const SUBJECT = "spec.podSelector";

const ADDRESS_MISSING = "runs without an address, so it is nobody's peer and no rule is about it";

/** Something that was left out, and so matches nothing. To be said in a status. */
export interface ResolveProblem {
  readonly kind: "Pod" | "NetworkPolicy";
  /** `<namespace>/<name>` */
  readonly object: string;
  readonly message: string;
}

/**
 * NetworkPolicies × Pods × Namespaces → what each node needs to know, incrementally: an event costs what it touches,
 * not what the cluster holds. Objects may come in any order; the result depends on the last of each only, but for a
 * policy that goes with its terminating namespace, which stays in force until the namespace's pods are gone.
 */
export class Resolver {
  readonly #enforce: "Segments" | "All";
  readonly #addresses = new AddressBook();
  readonly #groups: PodGroups;
  readonly #span = new ClusterSpan();
  readonly #pods = new Map<string, LivePod>();
  /** As last seen, retired ones too. */
  readonly #objects = new Map<PolicyId, NetworkPolicy>();
  readonly #policies = new Map<PolicyId, LivePolicy>();
  readonly #policyProblems = new Map<PolicyId, readonly string[]>();
  readonly #podProblems = new Map<string, string>();
  readonly #retired = new Set<string>();
  /** By SegmentPolicy in mode Audit, what it would write. */
  readonly #audited = new Map<string, ReadonlySet<PolicyId>>();
  /** Keys of pods to be looked at, sets with news, and what may have lost its last user: all until the next round. */
  readonly #dirtyPods = new Set<string>();
  readonly #dirtySets = new Set<LivePeerSet>();
  readonly #idleGroups = new Set<PodGroup>();
  readonly #idleSets = new Set<LivePeerSet>();

  constructor({ enforce }: { readonly enforce: "Segments" | "All" }) {
    this.#enforce = enforce;
    this.#groups = new PodGroups(this.#addresses, {
      selectionChanged: (pod) => this.#dirtyPods.add(pod.key),
      membersChanged: (set) => this.#dirtySets.add(set),
    });
  }

  setNamespace(namespace: Namespace): void {
    const home = this.#groups.namespace(namespace.name);
    this.#groups.label(home, namespace);
    this.#releaseLingering(home);
  }

  deleteNamespace(name: string): void {
    const home = this.#groups.namespace(name);
    this.#groups.label(home, undefined);
    this.#releaseLingering(home);
    this.#groups.collectNamespace(name);
  }

  setPod(pod: Pod): void {
    const key = `${pod.namespace}/${pod.name}`;
    const known = this.#pods.get(key);
    if (known !== undefined) {
      if (meansTheSame(known.pod, pod)) return;
      this.#withdraw(known);
    }
    const live = new LivePod(pod);
    this.#pods.set(key, live);
    this.#groups.admit(live);
    for (const address of live.addresses) this.#reassign(address, () => this.#addresses.claim(address, live));
    this.#noteAddresses(live);
    this.#dirtyPods.add(key);
    this.#releaseLingering(this.#groups.namespace(pod.namespace));
  }

  /** With `uid`, only that very pod: the delete of an old pod may come after its namesake. */
  deletePod(namespace: string, name: string, uid?: string): void {
    const known = this.#pods.get(`${namespace}/${name}`);
    if (known === undefined || (uid !== undefined && known.pod.uid !== uid)) return;
    this.#withdraw(known);
    this.#pods.delete(known.key);
    this.#podProblems.delete(known.key);
    this.#dirtyPods.add(known.key);
    this.#releaseLingering(this.#groups.namespace(namespace));
    this.#groups.collectNamespace(namespace);
  }

  setNetworkPolicy(policy: NetworkPolicy): void {
    const id = policyId(policy.metadata.namespace, policy.metadata.name);
    // Whom it is to protect is not understood: those whom it did protect stay so.
    if (policy.unreadable.some((path) => path.startsWith(SUBJECT)) && this.#policies.has(id)) {
      this.#policyProblems.set(id, policy.unreadable);
      return;
    }
    this.#objects.set(id, policy);
    this.#groups.namespace(policy.metadata.namespace).lingering.delete(id);
    this.#judge(id, policy);
  }

  /**
   * What pods of ours may do whatever other policies say: a default-deny in our own namespace must not cut the road on
   * which it is delivered. The policy isolates nobody by itself.
   */
  setOwnRoad(policy: NetworkPolicy): void {
    this.#judge(policyId(policy.metadata.namespace, policy.metadata.name), policy, "allows");
  }

  /**
   * What SegmentPolicy `name` would write if it were enforced, in place of what was said before. Each pod that one of
   * them selects says so in its `audits`; nothing else changes for it, and retiring `name` does not touch them.
   */
  setAudit(name: string, policies: readonly NetworkPolicy[]): void {
    const before = this.#audited.get(name) ?? new Set();
    const ids = new Set(policies.map(auditId));
    for (const policy of policies) this.#judge(auditId(policy), policy, "audits");
    for (const id of before.difference(ids)) {
      const gone = this.#policies.get(id);
      if (gone !== undefined) this.#detach(gone);
      this.#policyProblems.delete(id);
    }
    if (ids.size > 0) this.#audited.set(name, ids);
    else this.#audited.delete(name);
  }

  /** In a terminating namespace the policy goes on counting while pods with addresses run there. */
  deleteNetworkPolicy(namespace: string, name: string): void {
    const id = policyId(namespace, name);
    if (!this.#objects.delete(id)) return;
    this.#policyProblems.delete(id);
    const home = this.#groups.namespace(namespace);
    if (this.#policies.has(id)) home.lingering.add(id);
    this.#releaseLingering(home);
    this.#groups.collectNamespace(namespace);
  }

  /** `generation` of SegmentPolicy `name` is wholly in the NetworkPolicies set so far; `undefined`: not known. */
  setGeneration(name: string, generation: number | undefined): void {
    this.#span.setGeneration(name, generation);
  }

  /** Until `false`, what was generated from `name` counts as gone, all at once, whatever objects are left. */
  setRetired(name: string, retired: boolean): void {
    if (retired === this.#retired.has(name)) return;
    if (retired) {
      this.#retired.add(name);
      for (const policy of this.#policies.values()) {
        if (policy.segment === name && policy.effect !== "audits") this.#detach(policy);
      }
    } else {
      this.#retired.delete(name);
      for (const [id, policy] of this.#objects) if (generatedFrom(policy) === name) this.#judge(id, policy);
    }
  }

  /** Net changes by name of node since the last call; only of nodes for which something has changed. */
  takeChanges(): ReadonlyMap<string, NodeDelta> {
    for (const key of this.#dirtyPods) this.#span.place(key, this.#local(this.#pods.get(key)));
    const settled = this.#dirtySets.values().map((set) => [set, set.settle()] as const);
    const changedSets = new Map(settled.filter(([, { add, remove }]) => add.length + remove.length > 0));
    const changes = this.#span.takeChanges(this.#policies, changedSets);
    this.#groups.collect(this.#idleGroups, this.#idleSets);
    for (const waiting of [this.#dirtyPods, this.#dirtySets, this.#idleGroups, this.#idleSets]) waiting.clear();
    return changes;
  }

  /** The node's whole state as of the last `takeChanges`. Members of its sets are views: read them before the next. */
  nodeState(node: string): NodeState {
    return this.#span.state(node);
  }

  /** By node with pods that a part of `name` selects: the mark it is to confirm. Empty while no generation is set. */
  expectedConfirmations(name: string): ReadonlyMap<string, GenerationMark> {
    return this.#span.marks(name);
  }

  /** Pods that the NetworkPolicy's podSelector selects now: neither finished ones nor those of the host network. */
  selectedPods(namespace: string, policyName: string): number {
    return this.#policies.get(policyId(namespace, policyName))?.group.pods.size ?? 0;
  }

  /** Sorted by object. */
  problems(): readonly ResolveProblem[] {
    const problems: ResolveProblem[] = [];
    for (const [object, message] of this.#podProblems) problems.push({ kind: "Pod", object, message });
    for (const [object, paths] of this.#policyProblems) {
      const message = `not understood, so it matches nothing: ${paths.join(", ")}`;
      problems.push({ kind: "NetworkPolicy", object, message });
    }
    for (const address of this.#addresses.contested()) {
      const message = `address ${address} is claimed by several pods, so it is nobody's peer`;
      for (const { key } of this.#addresses.claimants(address)) problems.push({ kind: "Pod", object: key, message });
    }
    return problems.toSorted((a, b) => compare(a.object, b.object) || compare(a.message, b.message));
  }

  #withdraw(pod: LivePod): void {
    for (const address of pod.addresses) this.#reassign(address, () => this.#addresses.release(address, pod));
    this.#groups.withdraw(pod);
  }

  /** Moves an address's place in the peer sets from its owner before `change` to its owner afterwards. */
  #reassign(address: string, change: () => void): void {
    const before = this.#addresses.owner(address);
    change();
    const after = this.#addresses.owner(address);
    // Also those who did not own it: whether it is theirs on their own node may have changed.
    const claimants = this.#addresses.claimants(address);
    if (claimants.length > 1 || before !== after) for (const { key } of claimants) this.#dirtyPods.add(key);
    if (before === after) return;
    for (const group of before?.groups ?? []) before?.contribute(group, address, false);
    for (const group of after?.groups ?? []) after?.contribute(group, address, true);
  }

  #noteAddresses({ key, pod, counts }: LivePod): void {
    const nonsense = counts ? pod.addresses.filter((address) => parseAddress(address) === undefined) : [];
    if (nonsense.length > 0) this.#podProblems.set(key, `no IP address: ${nonsense.join(", ")}`);
    else if (counts && pod.addressMissing) this.#podProblems.set(key, ADDRESS_MISSING);
    else this.#podProblems.delete(key);
  }

  /** Lets a policy count as it is now, unless it is retired. */
  #judge(id: PolicyId, policy: NetworkPolicy, effect: Effect = "isolates"): void {
    const before = this.#policies.get(id);
    const segment = generatedFrom(policy);
    const { resolved, subject, queries, problems } = resolvePolicy(id, policy);
    if (problems.length > 0) this.#policyProblems.set(id, problems);
    else this.#policyProblems.delete(id);
    if (segment !== undefined && effect !== "audits" && this.#retired.has(segment)) {
      if (before !== undefined) this.#detach(before);
      return;
    }
    const directions = policy.spec.policyTypes;
    const hash = digest(canonicalJson(resolved));
    const group = this.#groups.group(subject);
    const tier = policy.metadata.labels[TIER_LABEL] ?? "";
    const same = before?.hash === hash && before.group === group && before.tier === tier;
    if (same && before.directions.join() === directions.join()) return;
    const peerSets = queries.entries().map(([setId, query]) => this.#groups.peerSet(setId, query)).toArray();
    const live: LivePolicy = { id, segment, tier, directions, effect, group, resolved, hash, peerSets };
    for (const set of peerSets) set.references += 1;
    if (before !== undefined) this.#detach(before);
    this.#policies.set(id, live);
    group.policies.add(live);
    for (const pod of group.pods) this.#dirtyPods.add(pod.key);
  }

  #detach(policy: LivePolicy): void {
    const { id, group, peerSets } = policy;
    this.#policies.delete(id);
    group.policies.delete(policy);
    this.#idleGroups.add(group);
    for (const set of peerSets) {
      set.references -= 1;
      if (set.references === 0) this.#idleSets.add(set);
    }
    for (const pod of group.pods) this.#dirtyPods.add(pod.key);
  }

  #releaseLingering(home: NamespaceHome): void {
    if (home.lingering.size === 0 || (home.namespace?.terminating === true && !home.vacant)) return;
    for (const id of home.lingering) {
      const policy = this.#policies.get(id);
      if (policy !== undefined) this.#detach(policy);
    }
    home.lingering.clear();
  }

  #local(live: LivePod | undefined): { readonly node: string; readonly pod: LocalPod } | undefined {
    if (live === undefined || live.pod.nodeName === "") return undefined;
    const { uid, pod: { namespace, name, nodeName, ports } } = live;
    const addresses = live.addresses.filter((address) => this.#addresses.isLocalOwner(address, live));
    if (addresses.length === 0) return undefined;
    const selecting = live.groups.flatMap(({ policies }) => [...policies]);
    const lists = (direction: Direction) => isolatingPolicies(selecting, direction, this.#enforce);
    const isolation = { ingress: lists("Ingress"), egress: lists("Egress") };
    const audits = auditsOf(selecting);
    const pod = { uid, namespace, name, addresses, ports, ...isolation, ...(audits.length > 0 && { audits }) };
    return { node: nodeName, pod };
  }
}
