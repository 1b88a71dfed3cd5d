import type { NetworkPolicy } from "../api/network-policy.ts";
import type { Namespace, Pod } from "../api/workload.ts";

/** What is asked about: objects as the API server sends them, parsed by api's readers. */
export interface Cluster {
  readonly namespaces: readonly Namespace[];
  readonly pods: readonly Pod[];
  readonly networkPolicies: readonly NetworkPolicy[];
  /** Addresses of each node by its name: its own pods are always reachable from it. */
  readonly nodes: ReadonlyMap<string, readonly string[]>;
  /** `Segments`: a pod is isolated only in directions in which a generated policy selects it. */
  readonly enforce: "Segments" | "All";
  /** `Allow`: a pod may always talk to its own node. */
  readonly nodeTraffic: "Allow" | "Enforce";
}
