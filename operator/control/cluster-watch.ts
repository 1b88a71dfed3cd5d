import { errorText } from "../api/error-message.ts";
import { Reader } from "../api/reader.ts";
import type { NetworkPolicy } from "../api/network-policy.ts";
import { readNetworkPolicy } from "../api/network-policy-parser.ts";
import { readSegmentNode, type SegmentNodeReport } from "../api/segment-node-parser.ts";
import type { SegmentPolicy } from "../api/segment-policy.ts";
import { readSegmentPolicy } from "../api/segment-policy-parser.ts";
import { readNamespace, readNode, readPod } from "../api/workload-parser.ts";
import type { Namespace, Node, Pod } from "../api/workload.ts";
import type { ApiClient } from "../kube/client.ts";
import type { Clock } from "../kube/clock.ts";
import type { Change } from "../kube/object-store.ts";
import { Reflector } from "../kube/reflector.ts";
import {
  DAEMON_SETS,
  ENDPOINT_SLICES,
  NAMESPACES,
  NETWORK_POLICIES,
  NODES,
  PODS,
  SEGMENT_NODES,
  SEGMENT_POLICIES,
  SERVICES,
  type Resource,
} from "../kube/resource.ts";
import type { ApiServerFacts } from "../compile/facts.ts";
import type { Logger } from "../telemetry/logger.ts";
import type { Versions } from "../stream/versions.ts";
import { API_SERVER_SLICE, readApiServer } from "./api-server-facts.ts";
import type { ChangeRouter, Turn } from "./change-router.ts";
import { readDaemonSet, type DaemonSetSummary } from "./enforcer-reconciler.ts";
import { PodIndex } from "./pod-index.ts";
import type { Reachability } from "./reachability.ts";

export interface ClusterWatchDeps {
  readonly client: ApiClient;
  readonly clock: Clock;
  readonly random: () => number;
  readonly log: Logger;
  readonly reachability: Reachability;
}

/** A Service whose cluster addresses are facts for compile. */
export interface ServiceName {
  readonly namespace: string;
  readonly name: string;
}

/**
 * Local copies of everything the operator works from, and the road of their changes to the router. Nothing is routed
 * before `follow`.
 */
export class ClusterWatch {
  readonly segmentPolicies: Reflector<SegmentPolicy>;
  readonly segmentNodes: Reflector<SegmentNodeReport>;
  readonly networkPolicies: Reflector<NetworkPolicy>;
  readonly namespaces: Reflector<Namespace>;
  readonly pods: Reflector<Pod>;
  readonly podsByNamespace = new PodIndex();
  readonly nodes: Reflector<Node>;
  readonly daemonSets: Reflector<DaemonSetSummary>;
  readonly #deps: ClusterWatchDeps;
  readonly #services: ReadonlyMap<string, Reflector<readonly string[]>>;
  readonly #apiServer: Reflector<ApiServerFacts | undefined>;
  readonly #all: Pick<Reflector<unknown>, "run" | "synced">[] = [];
  #router: ChangeRouter | undefined;
  #onSync: () => void = () => {};

  constructor(deps: ClusterWatchDeps, services: readonly ServiceName[]) {
    this.#deps = deps;
    this.segmentPolicies = this.#reflect(SEGMENT_POLICIES, readSegmentPolicy, (router, turn) =>
      router.segmentPolicy(turn),
    );
    this.segmentNodes = this.#reflect(SEGMENT_NODES, readSegmentNode, (router, turn) => router.segmentNode(turn));
    this.networkPolicies = this.#reflect(NETWORK_POLICIES, readNetworkPolicy, (router, turn) =>
      router.networkPolicy(turn),
    );
    this.namespaces = this.#reflect(NAMESPACES, readNamespace, (router, turn) => router.namespace(turn));
    this.pods = this.#reflect(PODS, readPod, (router, turn) => {
      if (turn.current !== undefined) this.podsByNamespace.set(turn.current);
      else if (turn.previous !== undefined) this.podsByNamespace.delete(turn.previous);
      router.pod(turn);
    });
    this.nodes = this.#reflect(NODES, readNode, (router, turn) => router.node(turn));
    this.daemonSets = this.#reflect(DAEMON_SETS, readDaemonSet, (router) => router.enforcers());
    this.#apiServer = this.#reflect(ENDPOINT_SLICES, readApiServer, (router) => router.facts(), {
      namespace: API_SERVER_SLICE.namespace,
      fieldSelector: `metadata.name=${API_SERVER_SLICE.name}`,
    });
    this.#services = new Map(
      services.map(({ namespace, name }) => {
        const scope = { namespace, fieldSelector: `metadata.name=${name}` };
        return [`${namespace}/${name}`, this.#reflect(SERVICES, readClusterIPs, (router) => router.facts(), scope)];
      }),
    );
  }

  /** Every copy is complete. */
  get synced(): boolean {
    return this.#all.every(({ synced }) => synced);
  }

  /** Settles when another copy has become complete, or the signal is aborted. */
  nextSync(signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      this.#onSync = resolve;
      signal.addEventListener("abort", () => resolve(), { once: true });
    });
  }

  /** The newest change of each kind that the streams are computed from. */
  get changedVersions(): Versions {
    return this.#versions(({ changedVersion }) => changedVersion);
  }

  /** What each copy is at least as new as, also where nothing has changed for long. */
  get seenVersions(): Versions {
    return this.#versions(({ resourceVersion }) => resourceVersion);
  }

  /** Of a Service that was named at construction; empty while it is not known. */
  clusterIPs(namespace: string, name: string): readonly string[] {
    const key = `${namespace}/${name}`;
    return this.#services.get(key)?.store.get(key) ?? [];
  }

  /** Where the API server answers; `undefined` while no endpoint of it is known. */
  get apiServer(): ApiServerFacts | undefined {
    return this.#apiServer.store.get(`${API_SERVER_SLICE.namespace}/${API_SERVER_SLICE.name}`);
  }

  /** Follows everything until the signal is aborted. */
  async follow(router: ChangeRouter, signal: AbortSignal): Promise<void> {
    this.#router = router;
    await Promise.all(this.#all.map((reflector) => reflector.run(signal)));
  }

  #versions(of: (copy: Pick<Reflector<unknown>, "changedVersion" | "resourceVersion">) => string): Versions {
    const { namespaces, networkPolicies, pods } = this;
    return { namespaces: of(namespaces), networkpolicies: of(networkPolicies), pods: of(pods) };
  }

  #reflect<T>(
    resource: Resource,
    parse: (object: unknown) => T,
    route: (router: ChangeRouter, turn: Turn<T>) => void,
    scope: { readonly namespace?: string; readonly fieldSelector?: string } = {},
  ): Reflector<T> {
    const { log, reachability, ...deps } = this.#deps;
    const reflector = new Reflector<T>({
      ...deps,
      ...scope,
      resource,
      parse,
      onBatch: (changes) => {
        for (const change of changes) if (this.#router !== undefined) route(this.#router, turnOf(change));
      },
      onSynced: () => this.#onSync(),
      onError: (error) => {
        if (!reachability.unanswered(error))
          log.warn(`following ${resource.plural} is disturbed, going on`, { error: errorText(error) });
      },
    });
    this.#all.push(reflector);
    return reflector;
  }
}

function turnOf<T>(change: Change<T>): Turn<T> {
  return { previous: change.previous, current: change.type === "set" ? change.object : undefined };
}

/** A headless Service has none. */
function readClusterIPs(service: unknown): readonly string[] {
  const ips = new Reader(service)
    .at("spec")
    .at("clusterIPs")
    .or((list) => list.each((item) => item.text()), []);
  return ips.filter((address) => address !== "None");
}
