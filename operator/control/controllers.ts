import { API_VERSION, STATUS_FIELD_MANAGER } from "../api/meta.ts";
import { readSegmentPolicy } from "../api/segment-policy-parser.ts";
import type { Settings } from "../api/settings.ts";
import { applyStatus } from "../kube/apply.ts";
import type { ApiClient } from "../kube/client.ts";
import type { EventRecorder } from "../kube/events.ts";
import { SEGMENT_POLICIES } from "../kube/resource.ts";
import type { WorkQueue } from "../kube/work-queue.ts";
import type { Resolver } from "../resolve/resolver.ts";
import { BadInputAnnouncer, LOOK_INTERVAL_MS } from "./bad-input-announcer.ts";
import type { Work } from "./change-router.ts";
import type { ClusterFacts } from "./cluster-facts.ts";
import type { ClusterWatch } from "./cluster-watch.ts";
import { EnforcerReconciler } from "./enforcer-reconciler.ts";
import { ENFORCER_NAME } from "./enforcer-daemonset.ts";
import { EnforcerRetirement } from "./enforcer-retirement.ts";
import { NetworkPolicyApi } from "./network-policy-api.ts";
import { OverdueWrites } from "./overdue-writes.ts";
import type { PolicyAnnouncer } from "./policy-announcer.ts";
import type { PolicyView } from "./policy-view.ts";
import type { Publisher } from "./publisher.ts";
import { SegmentNodeReconciler } from "./segment-node-reconciler.ts";
import { SegmentPolicyReconciler } from "./segment-policy-reconciler.ts";
import { StatusReconciler } from "./status-reconciler.ts";
import { controllerQueue, type QueueDeps } from "./work-queues.ts";

export interface ControllersOptions extends QueueDeps {
  readonly client: ApiClient;
  readonly watch: ClusterWatch;
  readonly view: PolicyView;
  readonly facts: ClusterFacts;
  readonly resolver: Resolver;
  readonly publisher: () => Publisher;
  readonly announcer: PolicyAnnouncer;
  readonly events: EventRecorder;
  readonly settings: Settings;
  readonly namespace: string;
  readonly advertise: string | undefined;
  readonly isLeader: () => boolean;
}

const ENFORCERS_KEY = "daemonset";
const BAD_INPUT_KEY = "cluster";
/** Pods come and go in crowds: their counts are looked at once for all of them. */
const COUNTS_AFTER_MS = 1_000;

/** The reconcilers with their queues, and what they tell each other. */
export class Controllers implements Work {
  readonly #options: ControllersOptions;
  readonly #status: StatusReconciler;
  readonly #reconciler: SegmentPolicyReconciler;
  readonly #policies: WorkQueue;
  readonly #statuses: WorkQueue;
  readonly #nodes: WorkQueue;
  readonly #enforcers: WorkQueue;
  readonly #badInput: WorkQueue;
  #open = false;

  constructor(options: ControllersOptions) {
    this.#options = options;
    this.#status = this.#statusReconciler();
    this.#reconciler = this.#policyReconciler();
    const [nodes, enforcers] = [this.#nodeReconciler(), this.#enforcerReconciler()];
    const done = (work: Promise<void>) => work.then(() => ({}));
    this.#policies = controllerQueue("segmentpolicy", 4, (name) => this.#reconciler.reconcile(name), options);
    this.#statuses = controllerQueue("status", 4, (name) => this.#reconcileStatus(name), options);
    this.#nodes = controllerQueue("segmentnode", 8, (name) => done(nodes.reconcile(name)), options);
    const again = (requeueAfterMs: number) => ({ requeueAfterMs });
    this.#enforcers = controllerQueue("enforcer", 1, () => enforcers.reconcile().then(again), options);
    const badInput = this.#badInputAnnouncer();
    const look = async () => {
      badInput.look();
      return again(LOOK_INTERVAL_MS);
    };
    this.#badInput = controllerQueue("badinput", 1, look, options);
  }

  /** From now on there is work: all caches are complete. */
  open(): void {
    this.#open = true;
    for (const name of this.#names()) this.#reconciler.prepare(name);
    // Without it only segments are enforced, and their status says what is wrong in them.
    if (this.#options.settings.enforce === "All") this.#badInput.add(BAD_INPUT_KEY);
    this.resync();
  }

  /** Looks at everything again: after the start, and when this replica becomes the leader. */
  resync(): void {
    for (const name of this.#names()) this.policy(name);
    this.enforcers();
  }

  async stop(): Promise<void> {
    const queues = [this.#policies, this.#statuses, this.#nodes, this.#enforcers, this.#badInput];
    await Promise.all(queues.map((queue) => queue.stop()));
  }

  policy(name: string): void {
    if (this.#open) this.#policies.add(name);
  }

  status(name: string): void {
    if (this.#open) this.#statuses.add(name);
  }

  counts(name: string): void {
    if (this.#open) this.#statuses.addAfter(name, COUNTS_AFTER_MS);
  }

  node(name: string): void {
    if (this.#open) this.#nodes.add(name);
  }

  enforcers(): void {
    if (!this.#open) return;
    this.#enforcers.add(ENFORCERS_KEY);
    const { watch, facts } = this.#options;
    // Those of before `Auto` took enforcement on: a change of them asked for nothing then.
    if (!facts.mode().managed) return;
    for (const name of watch.nodes.store.keys()) if (!watch.segmentNodes.store.has(name)) this.node(name);
  }

  publish(): void {
    this.#options.publisher().schedule();
  }

  /** Of the SegmentPolicies that are there, and of those of which only NetworkPolicies are. */
  #names(): ReadonlySet<string> {
    const { watch, view } = this.#options;
    return view.owners().union(new Set(watch.segmentPolicies.store.keys()));
  }

  async #reconcileStatus(name: string): Promise<{ readonly requeueAfterMs?: number }> {
    if (!this.#options.isLeader()) return {};
    const requeueAfterMs = await this.#status.reconcile(name);
    return requeueAfterMs === undefined ? {} : { requeueAfterMs };
  }

  #policyReconciler(): SegmentPolicyReconciler {
    const { client, watch, view, facts, resolver, announcer, settings, namespace, isLeader, clock } = this.#options;
    return new SegmentPolicyReconciler({
      cluster: {
        segmentPolicies: watch.segmentPolicies.store,
        namespaces: watch.namespaces.store,
        networkPolicies: view,
        facts: () => facts.facts(),
      },
      writer: new NetworkPolicyApi(client, new OverdueWrites(clock)),
      excludedNamespaces: new Set([...settings.excludedNamespaces, namespace]),
      isLeader,
      monotonic: () => clock.monotonic(),
      sink: {
        generation: (name, generation) => {
          resolver.setGeneration(name, generation);
          this.publish();
        },
        retired: (name, retired) => {
          resolver.setRetired(name, retired);
          this.publish();
        },
        audit: (name, policies) => {
          resolver.setAudit(name, policies);
          this.publish();
        },
        outcome: (policy, outcome) => {
          const { name } = policy.metadata;
          if (isLeader()) announcer.outcome(policy, this.#status.outcomeOf(name), outcome);
          this.#status.setOutcome(policy, outcome);
          this.status(name);
        },
        forgotten: (name) => {
          this.#status.forget(name);
          facts.forget(name);
          announcer.gone(name);
        },
        driftCorrected: (policy, where, names) => announcer.drift(policy, where, names),
      },
    });
  }

  #statusReconciler(): StatusReconciler {
    const { watch, facts, resolver, settings, client, announcer, publisher, clock } = this.#options;
    return new StatusReconciler({
      sources: {
        segmentPolicies: watch.segmentPolicies.store,
        nodes: watch.nodes.store,
        segmentNodes: watch.segmentNodes.store,
        expectedConfirmations: (policy) => {
          publisher().flush();
          return resolver.expectedConfirmations(policy);
        },
        survey: (policy) => facts.survey(policy),
        managed: () => facts.mode().managed,
      },
      sink: {
        write: async ({ metadata: { name, uid } }, status) => {
          const object = { apiVersion: API_VERSION, kind: "SegmentPolicy", metadata: { name, uid }, status };
          const options = { fieldManager: STATUS_FIELD_MANAGER, force: true };
          return readSegmentPolicy(await applyStatus(client, SEGMENT_POLICIES, object, options));
        },
        changed: (policy, status) => announcer.status(policy, status),
      },
      grace: { newcomerMs: settings.timings.confirmGraceMs, newNodeMs: settings.timings.newNodeGraceMs },
      now: () => clock.wall().getTime(),
      monotonic: () => clock.monotonic(),
    });
  }

  #nodeReconciler(): SegmentNodeReconciler {
    const { client, watch, facts, isLeader } = this.#options;
    const active = () => isLeader() && facts.mode().managed;
    return new SegmentNodeReconciler({
      client,
      nodes: watch.nodes.store,
      segmentNodes: watch.segmentNodes.store,
      active,
    });
  }

  #badInputAnnouncer(): BadInputAnnouncer {
    const { watch, facts, resolver, events, log, isLeader } = this.#options;
    return new BadInputAnnouncer({
      problems: () => resolver.problems(),
      networkPolicies: watch.networkPolicies.store,
      pods: watch.pods.store,
      namespaces: watch.namespaces.store,
      events,
      log,
      active: () => isLeader() && facts.mode().managed,
    });
  }

  #enforcerReconciler(): EnforcerReconciler {
    const { client, watch, facts, settings, namespace, advertise, isLeader, clock, events } = this.#options;
    const current = () => watch.daemonSets.store.get(`${namespace}/${ENFORCER_NAME}`);
    const mode = () => facts.mode();
    const retirement = new EnforcerRetirement({
      namespace,
      pods: watch.pods.store,
      segmentNodes: watch.segmentNodes.store,
      limitMs: settings.timings.retireMs,
      monotonic: () => clock.monotonic(),
    });
    const deps = { client, settings, namespace, mode, current, isLeader, advertise, retirement, events };
    return new EnforcerReconciler(deps);
  }
}
