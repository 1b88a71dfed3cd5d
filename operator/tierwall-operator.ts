import operatorModule from "@dot-i/k8s-operator";
import type { KubeConfig } from "@kubernetes/client-node";
import type { Server } from "node:http";

import { errorText } from "./api/error-message.ts";
import { enforcerSettings, type Settings } from "./api/settings.ts";
import { ChangeRouter } from "./control/change-router.ts";
import { ClusterFacts } from "./control/cluster-facts.ts";
import { ClusterWatch } from "./control/cluster-watch.ts";
import { Controllers } from "./control/controllers.ts";
import { OPERATOR_NAME } from "./control/enforcer-reconciler.ts";
import { OPERATOR_LABELS, ownRoad } from "./control/own-road.ts";
import { PolicyAnnouncer } from "./control/policy-announcer.ts";
import { PolicyView } from "./control/policy-view.ts";
import { Publisher } from "./control/publisher.ts";
import { Reachability } from "./control/reachability.ts";
import { StreamEndpoint } from "./control/stream-endpoint.ts";
import { KubeClient } from "./kube/client.ts";
import { SYSTEM_CLOCK } from "./kube/clock.ts";
import { EventRecorder } from "./kube/events.ts";
import { LeaderElection } from "./kube/lease.ts";
import { Resolver } from "./resolve/resolver.ts";
import { StreamHub } from "./stream/hub.ts";
import { serveEndpoints } from "./telemetry/http-endpoints.ts";
import type { Logger } from "./telemetry/logger.ts";
import { Metrics } from "./telemetry/metrics.ts";

export interface OperatorOptions {
  readonly config: KubeConfig;
  readonly settings: Settings;
  /** Of the operator itself and of its enforcers. */
  readonly namespace: string;
  /** Unique to this process: the pod's name. */
  readonly identity: string;
  readonly version: string;
  /** What enforcers dial when the operator runs outside the cluster. */
  readonly advertise: string | undefined;
  readonly log: Logger;
}

/** The package is CommonJS: its default export arrives as a member. */
const Operator = operatorModule.default;

/** The operator's life: it watches, and once it has seen everything it serves streams and, as the leader, writes. */
export class TierwallOperator extends Operator {
  readonly #options: OperatorOptions;
  readonly #stop = new AbortController();
  readonly #metrics = new Metrics();
  readonly #running: Promise<void>[] = [];
  readonly #servers: Server[] = [];
  readonly #client: KubeClient;
  readonly #watch: ClusterWatch;
  readonly #facts: ClusterFacts;
  readonly #controllers: Controllers;
  readonly #publisher: Publisher;
  readonly #endpoint: StreamEndpoint;
  readonly #election: LeaderElection;
  readonly #router: ChangeRouter;

  constructor(options: OperatorOptions) {
    const { config, settings, namespace, identity, version, log } = options;
    super(log);
    this.#options = options;
    this.kubeConfig = config;
    const random = Math.random;
    const clock = SYSTEM_CLOCK;
    const metrics = this.#metrics;
    const reachability = new Reachability(config.getCurrentCluster()?.server ?? "", log);
    const client = new KubeClient(config, (method, status) => {
      metrics.requests.inc({ method, code: String(status) });
      if (status > 0) reachability.answered();
    });
    const resolver = new Resolver({ enforce: settings.enforce });
    const view = new PolicyView();
    const services = settings.dns.peers.filter((peer) => peer.kind === "service");
    const watch = new ClusterWatch({ client, clock, random, log, reachability }, services);
    const hub = new StreamHub({
      version,
      settings: enforcerSettings(settings),
      // Not while `Auto` leaves it to the CNI: then there are no enforcers of ours.
      retiring: settings.enforcer === "Disabled",
      podCIDRs: (node) => watch.nodes.store.get(node)?.podCIDRs ?? [],
      state: (node) => this.#publisher.nodeState(node),
      seen: () => watch.seenVersions,
      monotonic: () => clock.monotonic(),
      observe: (followers) => metrics.streamClients.set(followers),
    });
    this.#client = client;
    this.#watch = watch;
    this.#publisher = new Publisher({
      resolver,
      hub,
      versions: () => watch.changedVersions,
      marksChanged: (names) => {
        for (const name of names) this.#controllers.status(name);
      },
    });
    this.#endpoint = new StreamEndpoint({ client, hub, pods: watch.pods.store, settings, namespace, log, metrics });
    this.#election = new LeaderElection({
      client,
      lease: { namespace, name: OPERATOR_NAME },
      identity,
      clock,
      random,
      onStarted: () => {
        log.info("this replica leads", { identity });
        metrics.leader.set(1);
        this.#controllers.resync();
      },
      onStopped: () => {
        log.info("this replica no longer leads", { identity });
        metrics.leader.set(0);
      },
      onError: (error) => {
        if (reachability.unanswered(error)) return;
        log.warn("the lease could not be renewed or taken", { error: errorText(error) });
      },
    });
    const events = new EventRecorder({
      client,
      clock,
      component: OPERATOR_NAME,
      instance: identity,
      onError: (error) => log.warn("an event could not be recorded", { error: errorText(error) }),
    });
    this.#facts = new ClusterFacts({ watch, view, resolver, settings, namespace });
    this.#controllers = new Controllers({
      client,
      watch,
      view,
      resolver,
      settings,
      namespace,
      clock,
      random,
      log,
      metrics,
      facts: this.#facts,
      announcer: new PolicyAnnouncer(events, metrics),
      events,
      publisher: () => this.#publisher,
      advertise: options.advertise,
      isLeader: () => this.#election.isLeader(),
    });
    this.#router = new ChangeRouter({
      resolver,
      view,
      work: this.#controllers,
      segmentPolicies: watch.segmentPolicies.store,
      segmentNodes: watch.segmentNodes.store,
      ownRoad: () => ownRoad({ namespace, labels: OPERATOR_LABELS, settings, apiServer: watch.apiServer }),
    });
  }

  /** Starts to watch and to serve probes; the rest follows when everything has been seen once. */
  protected override async init(): Promise<void> {
    const { settings, log } = this.#options;
    await this.#serveTelemetry(settings);
    const { signal } = this.#stop;
    this.#running.push(this.#watch.follow(this.#router, signal), this.#election.run(signal), this.#whenSynced(signal));
    log.info("tierwall operator has started", { version: this.#options.version, identity: this.#options.identity });
  }

  override stop(): void {
    this.#stop.abort();
  }

  /** Ends when `stop` was called and everything under way has come to its end. */
  async stopped(): Promise<void> {
    await Promise.all(this.#running);
    await this.#endpoint.stop();
    await this.#controllers.stop();
    for (const server of this.#servers) {
      server.close();
      server.closeAllConnections();
    }
    await this.#client.close();
  }

  async #whenSynced(signal: AbortSignal): Promise<void> {
    const { log } = this.#options;
    while (!this.#watch.synced) {
      if (signal.aborted) return;
      await this.#watch.nextSync(signal);
    }
    if (signal.aborted) return;
    log.info("the cluster has been seen", { enforcement: this.#facts.mode().reason });
    // Also where no endpoint of the API server is known: the road does not wait for them.
    this.#router.facts();
    this.#controllers.open();
    this.#publisher.open();
    await this.#endpoint.start();
  }

  async #serveTelemetry({ ports }: Settings): Promise<void> {
    const ready = () => this.#watch.synced && this.#endpoint.listening;
    this.#servers.push(
      await serveEndpoints(
        {
          // Never depends on the API server: a restart would not bring it back.
          "/healthz": () => ({ ok: true, body: "ok\n" }),
          "/readyz": () =>
            ready() ? { ok: true, body: "ok\n" } : { ok: false, body: "the cluster has not been seen whole yet\n" },
        },
        ports.probes,
      ),
      await serveEndpoints(
        {
          "/metrics": async () => ({
            ok: true,
            body: await this.#metrics.registry.metrics(),
            contentType: this.#metrics.registry.contentType,
          }),
        },
        ports.metrics,
      ),
    );
  }
}
