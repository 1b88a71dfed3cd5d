import type { NetworkPolicy } from "../api/network-policy.ts";
import { generatedFrom } from "../api/network-policy.ts";
import { controllerOf } from "../compile/plan.ts";
import { isNewer } from "../kube/object-store.ts";

/** A write of ours that the watch has not shown yet; `policy` is `undefined` for a delete. */
interface OwnWrite {
  readonly policy: NetworkPolicy | undefined;
  readonly uid: string;
}

/**
 * All NetworkPolicies of the cluster by namespace, in two readings. *Observed* is what the watch has shown and what
 * resolve works from. *Current* adds our own writes that the watch has yet to show, so that a reconcile between a write
 * and its echo does not write again.
 */
export class PolicyView {
  readonly #observed = new Map<string, Map<string, NetworkPolicy>>();
  /** The newest resource version observed. The watch shows changes in their order: it has shown all up to this one. */
  #newest = "0";
  readonly #writes = new Map<string, Map<string, OwnWrite>>();
  /** By SegmentPolicy, the namespaces that hold (or may still hold) something generated from it. */
  readonly #namespacesOf = new Map<string, Set<string>>();
  /** The same the other way round. */
  readonly #ownersIn = new Map<string, Set<string>>();
  /** Namespaces that are gone, while the watch still shows something of them. */
  readonly #gone = new Set<string>();
  /** By SegmentPolicy, `<namespace>/<name>` of NetworkPolicies that it needs and somebody else has. */
  readonly #contested = new Map<string, ReadonlySet<string>>();

  /** Takes in what the watch showed. */
  observe(policy: NetworkPolicy): void {
    const { namespace, name, resourceVersion } = policy.metadata;
    member(this.#observed, namespace).set(name, policy);
    if (isNewer(resourceVersion, this.#newest)) this.#newest = resourceVersion;
    this.#remember(policy);
    const write = this.#writes.get(namespace)?.get(name);
    if (write === undefined) return;
    const echoed = write.policy === undefined ? policy.metadata.uid !== write.uid : !this.#isAhead(write.policy);
    if (echoed) this.#forgetWrite(namespace, name);
  }

  observeDeleted(policy: NetworkPolicy): void {
    const { namespace, name, uid } = policy.metadata;
    this.#observed.get(namespace)?.delete(name);
    if (this.#writes.get(namespace)?.get(name)?.uid === uid) this.#forgetWrite(namespace, name);
    if (this.#gone.has(namespace)) this.deleteNamespace(namespace);
  }

  setNamespace(name: string): void {
    this.#gone.delete(name);
  }

  /** Drops what is remembered of a namespace that is gone, as soon as nothing of it is observed any more. */
  deleteNamespace(name: string): void {
    this.#gone.add(name);
    if (this.observedIn(name).length > 0) return;
    this.#gone.delete(name);
    this.#observed.delete(name);
    this.#writes.delete(name);
    for (const owner of this.ownersIn(name)) this.#unlink(owner, name);
  }

  /** The API server has answered a create or an update with this object. */
  wrote(policy: NetworkPolicy): void {
    const { namespace, name, uid } = policy.metadata;
    // The watch was faster, and may have shown its end too.
    if (!this.#isAhead(policy)) return;
    member(this.#writes, namespace).set(name, { policy, uid });
    this.#remember(policy);
  }

  /** The API server has confirmed a delete. */
  removed(namespace: string, name: string, uid: string): void {
    if (this.#observed.get(namespace)?.get(name)?.metadata.uid !== uid) this.#forgetWrite(namespace, name);
    else member(this.#writes, namespace).set(name, { policy: undefined, uid });
  }

  observedIn(namespace: string): readonly NetworkPolicy[] {
    return [...(this.#observed.get(namespace)?.values() ?? [])];
  }

  currentIn(namespace: string): readonly NetworkPolicy[] {
    const current = new Map(this.#observed.get(namespace));
    for (const [name, { policy }] of this.#writes.get(namespace) ?? []) {
      if (policy === undefined) current.delete(name);
      else if (this.#isAhead(policy)) current.set(name, policy);
    }
    return [...current.values()];
  }

  /** The SegmentPolicies of which something is (or may still be) there, whether or not they are there themselves. */
  owners(): ReadonlySet<string> {
    return new Set(this.#namespacesOf.keys());
  }

  /** Namespaces that may hold NetworkPolicies generated from SegmentPolicy `name`. */
  namespacesOf(name: string): ReadonlySet<string> {
    return this.#namespacesOf.get(name) ?? new Set();
  }

  /** The SegmentPolicies of which a namespace holds (or may still hold) something. */
  ownersIn(namespace: string): readonly string[] {
    return [...(this.#ownersIn.get(namespace) ?? [])];
  }

  /** SegmentPolicy `name` has a say in these namespaces, also where no NetworkPolicy of it is. */
  concern(name: string, namespaces: Iterable<string>): void {
    for (const namespace of namespaces) this.#link(name, namespace);
  }

  /**
   * Remembers which names SegmentPolicy `name` cannot have, in place of those before: only a change of a stranger's
   * object can free them, and that object says nothing of who waits for it.
   * @param contested `<namespace>/<name>` of NetworkPolicies
   */
  contest(name: string, contested: readonly string[]): void {
    if (contested.length === 0) this.#contested.delete(name);
    else this.#contested.set(name, new Set(contested));
  }

  /** The SegmentPolicies that a change of this NetworkPolicy concerns: it may be theirs, or have a name they need. */
  concernedBy(policy: NetworkPolicy): ReadonlySet<string> {
    const { namespace, name } = policy.metadata;
    const waiting = [...this.#contested].filter(([, names]) => names.has(`${namespace}/${name}`));
    return new Set([...ownersOf(policy), ...waiting.map(([owner]) => owner)]);
  }

  /** Drops what is remembered of a SegmentPolicy of which nothing is left. */
  forget(name: string): void {
    for (const namespace of this.namespacesOf(name)) this.#unlink(name, namespace);
    this.#contested.delete(name);
  }

  /** Whether the watch has yet to show it. */
  #isAhead({ metadata }: NetworkPolicy): boolean {
    return isNewer(metadata.resourceVersion, this.#newest);
  }

  #remember(policy: NetworkPolicy): void {
    const { namespace } = policy.metadata;
    for (const owner of ownersOf(policy)) this.#link(owner, namespace);
  }

  #link(owner: string, namespace: string): void {
    memberSet(this.#namespacesOf, owner).add(namespace);
    memberSet(this.#ownersIn, namespace).add(owner);
  }

  #unlink(owner: string, namespace: string): void {
    dropMember(this.#namespacesOf, owner, namespace);
    dropMember(this.#ownersIn, namespace, owner);
  }

  #forgetWrite(namespace: string, name: string): void {
    const writes = this.#writes.get(namespace);
    writes?.delete(name);
    if (writes?.size === 0) this.#writes.delete(namespace);
  }
}

/** The SegmentPolicies that a NetworkPolicy may have been generated from: by label, and by owner reference. */
function ownersOf(policy: NetworkPolicy): ReadonlySet<string> {
  return new Set([generatedFrom(policy), controllerOf(policy.metadata)].filter((name) => name !== undefined));
}

function member<K, V>(maps: Map<string, Map<K, V>>, key: string): Map<K, V> {
  const found = maps.get(key) ?? new Map<K, V>();
  maps.set(key, found);
  return found;
}

function memberSet(sets: Map<string, Set<string>>, key: string): Set<string> {
  const found = sets.get(key) ?? new Set<string>();
  sets.set(key, found);
  return found;
}

function dropMember(sets: Map<string, Set<string>>, key: string, value: string): void {
  const found = sets.get(key);
  found?.delete(value);
  if (found?.size === 0) sets.delete(key);
}
