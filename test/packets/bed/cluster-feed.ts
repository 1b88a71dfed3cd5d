import { readNetworkPolicy } from "../../../operator/api/network-policy-parser.ts";
import type { NodeDelta, NodeState } from "../../../operator/api/node-state.ts";
import { readNamespace, readPod } from "../../../operator/api/workload-parser.ts";
import { Resolver } from "../../../operator/resolve/resolver.ts";

/** A cluster as the API server holds it: raw objects. */
export interface RawCluster {
  readonly namespaces: readonly object[];
  readonly pods: readonly object[];
  readonly networkPolicies: readonly object[];
  readonly enforce: "Segments" | "All";
  readonly nodeTraffic: "Allow" | "Enforce";
}

type Kind = "namespaces" | "pods" | "networkPolicies";

/** Feeds the resolver with what differs between one cluster and the next, as watches would. */
export class ClusterFeed {
  readonly #resolver: Resolver;
  readonly #known = new Map<string, { readonly text: string; readonly remove: () => void }>();

  constructor(enforce: RawCluster["enforce"]) {
    this.#resolver = new Resolver({ enforce });
  }

  /** Net changes by node. */
  update(cluster: RawCluster): ReadonlyMap<string, NodeDelta> {
    const seen = new Set<string>();
    for (const kind of ["namespaces", "pods", "networkPolicies"] as const) {
      for (const object of cluster[kind]) seen.add(this.#set(kind, object));
    }
    for (const [key, { remove }] of this.#known) {
      if (seen.has(key)) continue;
      remove();
      this.#known.delete(key);
    }
    return this.#resolver.takeChanges();
  }

  state(node: string): NodeState {
    return this.#resolver.nodeState(node);
  }

  #set(kind: Kind, object: object): string {
    const { namespace = "", name = "" } = (object as { metadata: { namespace?: string; name?: string } }).metadata;
    const key = `${kind} ${namespace}/${name}`;
    const text = JSON.stringify(object);
    if (this.#known.get(key)?.text === text) return key;
    switch (kind) {
      case "namespaces":
        this.#resolver.setNamespace(readNamespace(object));
        this.#known.set(key, { text, remove: () => this.#resolver.deleteNamespace(name) });
        break;
      case "pods": {
        const pod = readPod(object);
        this.#resolver.setPod(pod);
        this.#known.set(key, { text, remove: () => this.#resolver.deletePod(namespace, name, pod.uid) });
        break;
      }
      case "networkPolicies":
        this.#resolver.setNetworkPolicy(readNetworkPolicy(object));
        this.#known.set(key, { text, remove: () => this.#resolver.deleteNetworkPolicy(namespace, name) });
    }
    return key;
  }
}
