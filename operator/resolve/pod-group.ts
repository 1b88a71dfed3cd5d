import type { LabelSelector } from "../api/label-selector.ts";
import type { PolicyId } from "../api/node-state.ts";
import type { Namespace } from "../api/workload.ts";
import type { LivePeerSet } from "./peer-set.ts";
import type { LivePod } from "./live-pod.ts";
import type { LivePolicy } from "./live-policy.ts";
import { SelectorIndex } from "./selector-index.ts";

/** The pods that one query selects, and all who asked it: policies select by it, peer sets are made of it. */
export class PodGroup {
  readonly key: string;
  readonly home: GroupHome;
  readonly selector: LabelSelector;
  readonly pods = new Set<LivePod>();
  readonly policies = new Set<LivePolicy>();
  readonly peerSets = new Set<LivePeerSet>();

  constructor(key: string, home: GroupHome, selector: LabelSelector) {
    this.key = key;
    this.home = home;
    this.selector = selector;
  }

  get unused(): boolean {
    return this.policies.size === 0 && this.peerSets.size === 0;
  }
}

/** Where groups are looked up by pods: a namespace for its own, or the namespaces that a selector selects. */
export type GroupHome = NamespaceHome | SelectedNamespaces;

/** A namespace that has an object, pods or policies: they arrive in any order. */
export class NamespaceHome {
  readonly name: string;
  readonly groups = new SelectorIndex<PodGroup>();
  readonly pods = new Set<LivePod>();
  readonly selectedBy = new Set<SelectedNamespaces>();
  /** Policies whose objects are gone with the terminating namespace while its pods still run. */
  readonly lingering = new Set<PolicyId>();
  /** Absent: not seen (yet). No selector selects it then: unknown labels could mean anything. */
  namespace: Namespace | undefined;

  constructor(name: string) {
    this.name = name;
  }

  get vacant(): boolean {
    return !this.pods.values().some(({ addresses }) => addresses.length > 0);
  }

  get unused(): boolean {
    return this.namespace === undefined && this.pods.size === 0 && this.groups.empty && this.lingering.size === 0;
  }
}

/** The namespaces that a namespaceSelector selects. */
export class SelectedNamespaces {
  readonly key: string;
  readonly selector: LabelSelector;
  readonly groups = new SelectorIndex<PodGroup>();
  readonly namespaces = new Set<NamespaceHome>();

  constructor(key: string, selector: LabelSelector) {
    this.key = key;
    this.selector = selector;
  }
}
