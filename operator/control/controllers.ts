import { API_VERSION, STATUS_FIELD_MANAGER } from "../api/meta.ts";
import type { SegmentPolicy, SegmentPolicyStatus } from "../api/segment-policy.ts";
import type { Settings } from "../api/settings.ts";
import { compile } from "../compile/compile.ts";
import { applyStatus } from "../kube/apply.ts";
import type { ApiClient } from "../kube/client.ts";
import type { EventRecorder } from "../kube/events.ts";
import { SEGMENT_POLICIES } from "../kube/resource.ts";
import type { WorkQueue } from "../kube/work-queue.ts";
import type { Resolver } from "../resolve/resolver.ts";
import type { Outcome } from "../status/policy-status.ts";
import type { Work } from "./change-router.ts";
import type { ClusterWatch } from "./cluster-watch.ts";
import { dnsFacts } from "./dns-facts.ts";
import { EnforcerReconciler } from "./enforcer-reconciler.ts";
import { ENFORCER_NAME } from "./enforcer-daemonset.ts";
import { enforcementMode, type EnforcementMode } from "./enforcement-mode.ts";
import { NetworkPolicyApi } from "./network-policy-api.ts";
import type { PolicyView } from "./policy-view.ts";
import type { Publisher } from "./publisher.ts";
import { SegmentNodeReconciler } from "./segment-node-reconciler.ts";
import { SegmentPolicyReconciler, type ClusterView } from "./segment-policy-reconciler.ts";
import { StatusReconciler } from "./status-reconciler.ts";
import { controllerQueue, type QueueDeps } from "./work-queues.ts";

export interface ControllersOptions extends QueueDeps {
  readonly client: ApiClient;
  readonly watch: ClusterWatch;
  readonly view: PolicyView;
  readonly resolver: Resolver;
  readonly publisher: () => Publisher;
  readonly events: EventRecorder;
  readonly settings: Settings;
  readonly namespace: string;
  readonly advertise: string | undefined;
  readonly isLeader: () => boolean;
}

const ENFORCERS_KEY = "daemonset";
/** The enforcers' DaemonSet is compared with the operator's own Deployment this often. */
const ENFORCERS_RECHECK_MS = 60_000;

/** The reconcilers with their queues, and what they tell each other. */
export class Controllers implements Work {
  readonly #options: ControllersOptions;
  readonly #policies: WorkQueue;
  readonly #statuses: WorkQueue;
  readonly #nodes: WorkQueue;
  readonly #enforcers: WorkQueue;
  readonly #status: StatusReconciler;
  #open = false;

  constructor(options: ControllersOptions) {
    this.#options = options;
    const { client, watch, settings, namespace, advertise, isLeader } = options;
    const policies = this.#policyReconciler();
    this.#status = this.#statusReconciler();
    const nodes = new SegmentNodeReconciler({
      client, nodes: watch.nodes.store, segmentNodes: watch.segmentNodes.store, active: () => isLeader() && this.mode().managed,
    });
    const current = () => watch.daemonSets.store.get(`${namespace}/${ENFORCER_NAME}`);
    const enforcers = new EnforcerReconciler({ client, settings, namespace, mode: () => this.mode(), current, isLeader, advertise });
    const done = (work: Promise<void>) => work.then(() => ({}));
    this.#policies = controllerQueue("segmentpolicy", 4, (name) => done(policies.reconcile(name)), options);
    this.#statuses = controllerQueue("status", 4, (name) => this.#reconcileStatus(name), options);
    this.#nodes = controllerQueue("segmentnode", 8, (name) => done(nodes.reconcile(name)), options);
    this.#enforcers = controllerQueue("enforcer", 1, async () => {
      await enforcers.reconcile();
      return { requeueAfterMs: ENFORCERS_RECHECK_MS };
    }, options);
  }

  /** From now on there is work: all caches are complete. */
  open(): void {
    this.#open = true;
    this.resync();
  }

  /** Looks at everything again: after the start, and when this replica becomes the leader. */
  resync(): void {
    const { watch } = this.#options;
    for (const name of watch.segmentPolicies.store.keys()) this.policy(name);
    for (const name of watch.nodes.store.keys()) this.node(name);
    this.enforcers();
  }

  async stop(): Promise<void> {
    await Promise.all([this.#policies, this.#statuses, this.#nodes, this.#enforcers].map((queue) => queue.stop()));
  }

  policy(name: string): void {
    if (this.#open) this.#policies.add(name);
  }

  status(name: string): void {
    if (this.#open) this.#statuses.add(name);
  }

  node(name: string): void {
    if (this.#open) this.#nodes.add(name);
  }

  enforcers(): void {
    if (this.#open) this.#enforcers.add(ENFORCERS_KEY);
  }

  publish(): void {
    this.#options.publisher().schedule();
  }

  mode(): EnforcementMode {
    const { settings, watch, namespace } = this.#options;
    const daemonSets = watch.daemonSets.store;
    return enforcementMode(settings.enforcer, [...daemonSets.values()], daemonSets.has(`${namespace}/${ENFORCER_NAME}`));
  }

  async #reconcileStatus(name: string): Promise<{ readonly requeueAfterMs?: number }> {
    if (!this.#options.isLeader()) return {};
    const requeueAfterMs = await this.#status.reconcile(name);
    return requeueAfterMs === undefined ? {} : { requeueAfterMs };
  }

  #clusterView(): ClusterView {
    const { watch, view, settings } = this.#options;
    return {
      segmentPolicies: watch.segmentPolicies.store,
      namespaces: watch.namespaces.store,
      networkPolicies: view,
      facts: () => {
        const { facts, unknown } = dnsFacts(settings.dns, (namespace, name) => watch.clusterIPs(namespace, name));
        return { facts: { dns: facts }, unknown };
      },
    };
  }

  #policyReconciler(): SegmentPolicyReconciler {
    const { client, resolver, settings, namespace, isLeader, metrics, events } = this.#options;
    return new SegmentPolicyReconciler({
      cluster: this.#clusterView(),
      writer: new NetworkPolicyApi(client),
      excludedNamespaces: new Set([...settings.excludedNamespaces, namespace]),
      isLeader,
      sink: {
        generation: (name, generation) => {
          resolver.setGeneration(name, generation);
          this.publish();
        },
        retired: (name, retired) => {
          resolver.setRetired(name, retired);
          this.publish();
        },
        outcome: (policy, outcome) => this.#settle(policy, outcome),
        forgotten: (name) => {
          this.#status.forget(name);
          metrics.policyReady.remove({ policy: name });
        },
        driftCorrected: (policy, where, names) => {
          metrics.driftCorrections.inc(names.length);
          events.record(eventOf(policy, "Warning", "DriftCorrected", `${where}: somebody changed ${names.join(", ")}; it is being put back`));
        },
      },
    });
  }

  #settle(policy: SegmentPolicy, outcome: Outcome): void {
    const { name } = policy.metadata;
    const { events, isLeader } = this.#options;
    const before = this.#status.outcomeOf(name);
    const isKnown = (conflict: string) => before === undefined ? warnsOf(policy, conflict) : before.conflicts.includes(conflict);
    const news = outcome.conflicts.filter((conflict) => !isKnown(conflict));
    if (isLeader() && news.length > 0) {
      events.record(eventOf(policy, "Warning", "NameConflict", `not made by Tierwall and left alone: ${news.join(", ")}`));
    }
    const wasPlaced = before === undefined ? saysApplied(policy) : before.placed && before.generation === outcome.generation;
    if (isLeader() && outcome.placed && !wasPlaced) {
      const text = `${outcome.networkPolicies} NetworkPolicies in ${outcome.namespaces.matched} namespaces`;
      events.record(eventOf(policy, "Normal", "PoliciesApplied", `generation ${outcome.generation}: ${text}`));
    }
    this.#status.setOutcome(name, outcome);
    this.status(name);
  }

  #statusReconciler(): StatusReconciler {
    const { watch, resolver, settings, client, metrics, events, publisher } = this.#options;
    return new StatusReconciler({
      sources: {
        segmentPolicies: watch.segmentPolicies.store,
        nodes: watch.nodes.store,
        segmentNodes: watch.segmentNodes.store,
        expectedConfirmations: (policy) => {
          publisher().flush();
          return resolver.expectedConfirmations(policy);
        },
        tierPods: (policy) => this.#tierPods(policy),
        managed: () => this.mode().managed,
      },
      sink: {
        write: async (policy, status) => {
          const object = { apiVersion: API_VERSION, kind: "SegmentPolicy", metadata: { name: policy.metadata.name, uid: policy.metadata.uid }, status };
          await applyStatus(client, SEGMENT_POLICIES, object, { fieldManager: STATUS_FIELD_MANAGER, force: true });
        },
        changed: (policy, status) => {
          metrics.policyReady.set({ policy: policy.metadata.name }, isTrue(status, "Ready") ? 1 : 0);
          const degraded = status.conditions.find(({ type }) => type === "Degraded");
          if (degraded !== undefined && !isTrue(policy.status, "Degraded")) {
            events.record(eventOf(policy, "Warning", "EnforcementDegraded", degraded.message));
          }
        },
      },
      grace: { newcomerMs: settings.timings.confirmGraceMs, newNodeMs: settings.timings.newNodeGraceMs },
      now: Date.now,
    });
  }

  /** Pods of each tier by what its NetworkPolicies select, in all namespaces of the segment. */
  #tierPods({ metadata, verdict }: SegmentPolicy): readonly { readonly name: string; readonly pods: number }[] {
    if (!verdict.accepted) return [];
    const { view, resolver } = this.#options;
    const parts = compile(metadata.name, verdict.spec, this.#clusterView().facts().facts);
    const namespaces = [...view.namespacesOf(metadata.name)];
    return verdict.spec.tiers.map(({ name }) => {
      const part = parts.find(({ tier }) => tier === name);
      const pods = part === undefined ? 0 : namespaces.reduce((sum, namespace) => sum + resolver.selectedPods(namespace, part.name), 0);
      return { name, pods };
    });
  }
}

/** After a restart the status is what tells whether the Event for it has been sent. */
function saysApplied({ metadata, status }: SegmentPolicy): boolean {
  return status.conditions.some(({ type, status: state, observedGeneration }) =>
    type === "PoliciesApplied" && state === "True" && observedGeneration === metadata.generation);
}

function warnsOf({ status }: SegmentPolicy, conflict: string): boolean {
  return status.conditions.some(({ type, message }) => type === "Warnings" && message.includes(conflict));
}

function isTrue({ conditions }: SegmentPolicyStatus, type: string): boolean {
  return conditions.find((condition) => condition.type === type)?.status === "True";
}

function eventOf({ metadata }: SegmentPolicy, type: "Normal" | "Warning", reason: string, message: string): Parameters<EventRecorder["record"]>[0] {
  return { regarding: { apiVersion: API_VERSION, kind: "SegmentPolicy", name: metadata.name, uid: metadata.uid }, type, reason, message };
}
