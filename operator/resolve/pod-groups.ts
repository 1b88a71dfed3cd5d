import { canonicalJson } from "../api/canonical-json.ts";
import { selects } from "../api/label-selector.ts";
import type { PeerSetId } from "../api/node-state.ts";
import type { Namespace } from "../api/workload.ts";
import type { AddressBook } from "./address-book.ts";
import type { LivePod } from "./live-pod.ts";
import { LivePeerSet, type PeerQuery, type PodQuery } from "./peer-set.ts";
import { type GroupHome, NamespaceHome, PodGroup, SelectedNamespaces } from "./pod-group.ts";
import { hooksOf } from "./selector-index.ts";

export interface PodGroupsListener {
  /** Other policies than before may select the pod. */
  selectionChanged(pod: LivePod): void;
  membersChanged(set: LivePeerSet): void;
}

/** Every query that a policy asks about pods, with its answer kept current. */
export class PodGroups {
  readonly #namespaces = new Map<string, NamespaceHome>();
  readonly #selected = new Map<string, SelectedNamespaces>();
  readonly #groups = new Map<string, PodGroup>();
  readonly #peerSets = new Map<PeerSetId, LivePeerSet>();
  readonly #addresses: AddressBook;
  readonly #listener: PodGroupsListener;

  constructor(addresses: AddressBook, listener: PodGroupsListener) {
    this.#addresses = addresses;
    this.#listener = listener;
  }

  namespace(name: string): NamespaceHome {
    let home = this.#namespaces.get(name);
    if (home === undefined) this.#namespaces.set(name, home = new NamespaceHome(name));
    return home;
  }

  /** The group of a query; a new one is filled at once. */
  group({ scope, selector }: PodQuery): PodGroup {
    const key = canonicalJson([scope, selector]);
    const known = this.#groups.get(key);
    if (known !== undefined) return known;
    const home = "namespace" in scope ? this.namespace(scope.namespace) : this.#selectedNamespaces(scope.namespaces);
    const group = new PodGroup(key, home, selector);
    this.#groups.set(key, group);
    home.groups.add(group);
    for (const namespace of namespacesOf(home)) {
      for (const pod of namespace.pods) {
        if (pod.counts && selects(selector, pod.pod.labels)) this.#join(group, pod);
      }
    }
    return group;
  }

  peerSet(id: PeerSetId, query: PeerQuery): LivePeerSet {
    const known = this.#peerSets.get(id);
    if (known !== undefined) return known;
    const group = this.group(query);
    const set = new LivePeerSet(id, query, group, (changed) => this.#listener.membersChanged(changed));
    this.#peerSets.set(id, set);
    group.peerSets.add(set);
    for (const pod of group.pods) {
      for (const address of pod.addresses) {
        if (this.#addresses.owner(address) === pod) set.put(pod, address, true);
      }
    }
    return set;
  }

  /** A pod of the cluster; its addresses are claimed by the caller, afterwards. */
  admit(pod: LivePod): void {
    const namespace = this.namespace(pod.pod.namespace);
    namespace.pods.add(pod);
    if (!pod.counts) return;
    const hooks = hooksOf(pod.pod.labels);
    this.#match(namespace, pod, hooks);
    for (const home of namespace.selectedBy) this.#match(home, pod, hooks);
  }

  /** The opposite of `admit`; its addresses have been released before. */
  withdraw(pod: LivePod): void {
    this.namespace(pod.pod.namespace).pods.delete(pod);
    for (const group of pod.groups) group.pods.delete(pod);
    pod.groups = [];
  }

  /** The namespace's labels, or `undefined` once it is gone, decide which namespaceSelectors select it. */
  label(home: NamespaceHome, namespace: Namespace | undefined): void {
    home.namespace = namespace;
    for (const selected of this.#selected.values()) {
      const is = namespace !== undefined && selects(selected.selector, namespace.labels);
      if (is === home.selectedBy.has(selected)) continue;
      if (is) this.#enter(selected, home);
      else this.#exit(selected, home);
    }
  }

  /** Forgets what nobody asks about any more. */
  collect(policyGroups: Iterable<PodGroup>, idle: Iterable<LivePeerSet>): void {
    const groups = new Set(policyGroups);
    for (const set of idle) {
      if (set.references > 0) continue;
      this.#peerSets.delete(set.id);
      set.group.peerSets.delete(set);
      groups.add(set.group);
    }
    for (const group of groups) {
      if (group.unused) this.#remove(group);
    }
  }

  /** Forgets a namespace of which nothing is left. */
  collectNamespace(name: string): void {
    if (this.#namespaces.get(name)?.unused === true) this.#namespaces.delete(name);
  }

  #selectedNamespaces(selector: PodGroup["selector"]): SelectedNamespaces {
    const key = canonicalJson(selector);
    const known = this.#selected.get(key);
    if (known !== undefined) return known;
    const selected = new SelectedNamespaces(key, selector);
    this.#selected.set(key, selected);
    for (const home of this.#namespaces.values()) {
      if (home.namespace === undefined || !selects(selector, home.namespace.labels)) continue;
      selected.namespaces.add(home);
      home.selectedBy.add(selected);
    }
    return selected;
  }

  #enter(selected: SelectedNamespaces, home: NamespaceHome): void {
    selected.namespaces.add(home);
    home.selectedBy.add(selected);
    for (const pod of home.pods) {
      if (pod.counts) this.#match(selected, pod, hooksOf(pod.pod.labels));
    }
  }

  #exit(selected: SelectedNamespaces, home: NamespaceHome): void {
    selected.namespaces.delete(home);
    home.selectedBy.delete(selected);
    for (const pod of home.pods) {
      for (const group of pod.groups.filter((joined) => joined.home === selected)) this.#leave(group, pod);
    }
  }

  #match(home: GroupHome, pod: LivePod, hooks: readonly string[]): void {
    for (const group of home.groups.candidates(hooks)) {
      if (selects(group.selector, pod.pod.labels)) this.#join(group, pod);
    }
  }

  #join(group: PodGroup, pod: LivePod): void {
    group.pods.add(pod);
    pod.groups.push(group);
    if (group.policies.size > 0) this.#listener.selectionChanged(pod);
    this.#contribute(group, pod, true);
  }

  #leave(group: PodGroup, pod: LivePod): void {
    this.#contribute(group, pod, false);
    group.pods.delete(pod);
    pod.groups = pod.groups.filter((other) => other !== group);
    if (group.policies.size > 0) this.#listener.selectionChanged(pod);
  }

  #contribute(group: PodGroup, pod: LivePod, present: boolean): void {
    if (group.peerSets.size === 0) return;
    for (const address of pod.addresses) {
      if (this.#addresses.owner(address) === pod) pod.contribute(group, address, present);
    }
  }

  #remove(group: PodGroup): void {
    const { home } = group;
    this.#groups.delete(group.key);
    home.groups.delete(group);
    for (const pod of group.pods) pod.groups = pod.groups.filter((other) => other !== group);
    if (home instanceof NamespaceHome) return this.collectNamespace(home.name);
    if (!home.groups.empty) return;
    this.#selected.delete(home.key);
    for (const namespace of home.namespaces) namespace.selectedBy.delete(home);
  }
}

function namespacesOf(home: GroupHome): Iterable<NamespaceHome> {
  return home instanceof NamespaceHome ? [home] : home.namespaces;
}
