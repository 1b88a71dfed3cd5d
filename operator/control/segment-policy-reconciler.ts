import { canonicalJson } from "../api/canonical-json.ts";
import { selects } from "../api/label-selector.ts";
import type { SegmentPolicy, SegmentPolicySpec } from "../api/segment-policy.ts";
import type { Namespace } from "../api/workload.ts";
import { compile } from "../compile/compile.ts";
import type { Facts } from "../compile/facts.ts";
import type { Part } from "../compile/part.ts";
import { controllerOf, isOurs, plan, removal, type Owner, type Plan, type Step } from "../compile/plan.ts";
import type { Outcome } from "../status/policy-status.ts";
import { errorText } from "../telemetry/logger.ts";
import type { NetworkPolicyWriter } from "./network-policy-writer.ts";
import type { PolicyView } from "./policy-view.ts";

/** What is known of the cluster, kept current by the reflectors. */
export interface ClusterView {
  readonly segmentPolicies: ReadonlyMap<string, SegmentPolicy>;
  readonly namespaces: ReadonlyMap<string, Namespace>;
  readonly networkPolicies: PolicyView;
  /** The facts, and names of those that are not known yet. */
  facts(): { readonly facts: Facts; readonly unknown: readonly string[] };
}

/** Where a reconcile says what it found. */
export interface ReconcileSink {
  /** Generation `generation` is wholly in the observed NetworkPolicies; `undefined`: the segment is gone. */
  generation(name: string, generation: number | undefined): void;
  /** From now on nothing generated from `name` counts, whatever objects are left (`false` ends it). */
  retired(name: string, retired: boolean): void;
  outcome(policy: SegmentPolicy, outcome: Outcome): void;
  forgotten(name: string): void;
  driftCorrected(policy: SegmentPolicy, namespace: string, names: readonly string[]): void;
}

/** Some namespaces could not be brought into line. The queue tries again, later each time. */
export class ReconcileError extends Error {
  constructor(name: string, failures: Outcome["failures"], cause: unknown) {
    super(`SegmentPolicy ${name}: ${failures.map(({ namespace, message }) => `${namespace}: ${message}`).join("; ")}`, { cause });
    this.name = "ReconcileError";
  }
}

interface NamespacePlan extends Plan {
  readonly namespace: string;
}

/** Namespaces that are written to at once, of one SegmentPolicy. Within a namespace writes are serial: their order counts. */
const CONCURRENT_NAMESPACES = 8;

/**
 * Brings the NetworkPolicies of one SegmentPolicy into line with it. Every replica runs it, to know which generation is
 * in place; only the leader writes.
 */
export class SegmentPolicyReconciler {
  readonly #cluster: ClusterView;
  readonly #writer: NetworkPolicyWriter;
  readonly #sink: ReconcileSink;
  readonly #excluded: ReadonlySet<string>;
  readonly #isLeader: () => boolean;
  /** What was last seen complete: a difference without a new wish is drift. */
  readonly #settled = new Map<string, { readonly wish: string; readonly namespaces: ReadonlySet<string> }>();
  /** Deleted with `orphan`: what was generated is to stay, also when the watch of NetworkPolicies lags behind. */
  readonly #orphaned = new Set<string>();

  constructor(deps: {
    readonly cluster: ClusterView;
    readonly writer: NetworkPolicyWriter;
    readonly sink: ReconcileSink;
    readonly excludedNamespaces: ReadonlySet<string>;
    readonly isLeader: () => boolean;
  }) {
    this.#cluster = deps.cluster;
    this.#writer = deps.writer;
    this.#sink = deps.sink;
    this.#excluded = deps.excludedNamespaces;
    this.#isLeader = deps.isLeader;
  }

  /** @throws ReconcileError when a write failed and is to be tried again */
  async reconcile(name: string): Promise<void> {
    const policy = this.#cluster.segmentPolicies.get(name);
    if (policy === undefined || policy.metadata.deleting) return this.#retire(name, policy);
    this.#orphaned.delete(name);
    this.#sink.retired(name, false);
    if (!policy.verdict.accepted) {
      this.#sink.outcome(policy, refused(policy));
      return;
    }
    await this.#hold(policy, policy.verdict.spec);
  }

  async #hold(policy: SegmentPolicy, spec: SegmentPolicySpec): Promise<void> {
    const { name, uid, generation } = policy.metadata;
    const owner: Owner = { name, uid };
    const { facts, unknown } = this.#cluster.facts();
    const parts = compile(name, spec, facts);
    const matched = this.#matching(spec);
    const stale = [...this.#cluster.networkPolicies.namespacesOf(name)].filter((namespace) => !matched.has(namespace) && this.#isLive(namespace));
    const partsFor = (namespace: string) => matched.has(namespace) ? parts : [];
    const view = this.#cluster.networkPolicies;
    const plans = [...matched, ...stale].map((namespace): NamespacePlan => ({ namespace, ...plan(owner, partsFor(namespace), view.currentIn(namespace)) }));
    // In the same turn as the reading: a stranger's object that goes from now on brings us back.
    view.contest(name, conflictsOf(plans));
    const failures: { namespace: string; message: string }[] = [];
    let cause: unknown;
    if (this.#isLeader()) {
      this.#reportDrift(policy, parts, plans);
      await forEachAtMost(CONCURRENT_NAMESPACES, plans, async ({ namespace, steps }) => {
        try {
          await this.#execute(namespace, steps, owner);
        } catch (error) {
          if (!this.#isLive(namespace)) return;
          cause = error;
          failures.push({ namespace, message: errorText(error) });
        }
      });
    }
    // Judged by what the watch has shown, not by what we have just written: the stream is computed from the former.
    const observed = plans.map(({ namespace }) => ({ namespace, ...plan(owner, partsFor(namespace), view.observedIn(namespace)) }));
    const conflicts = conflictsOf(observed);
    view.contest(name, conflicts);
    const complete = observed.filter((found) => found.steps.length === 0 && found.conflicts.length === 0).map(({ namespace }) => namespace);
    const placed = complete.length === observed.length;
    if (placed) {
      this.#settled.set(name, { wish: canonicalJson(parts), namespaces: new Set(complete) });
      this.#sink.generation(name, generation);
    }
    this.#sink.outcome(policy, {
      generation,
      namespaces: { matched: matched.size, applied: complete.filter((namespace) => matched.has(namespace)).length },
      networkPolicies: parts.length * matched.size,
      placed,
      conflicts,
      failures,
      unknownFacts: unknown,
    });
    if (failures.length > 0) throw new ReconcileError(name, failures, cause);
  }

  /** Takes away what was generated from a SegmentPolicy that is gone or going, unless it is to be orphaned. */
  async #retire(name: string, policy: SegmentPolicy | undefined): Promise<void> {
    if (policy?.finalizers.includes("orphan") === true) this.#orphaned.add(name);
    this.#settled.delete(name);
    this.#cluster.networkPolicies.contest(name, []);
    const keep = this.#orphaned.has(name);
    const view = this.#cluster.networkPolicies;
    const left = [...view.namespacesOf(name)]
      .map((namespace) => ({ namespace, policies: keep ? [] : view.currentIn(namespace).filter((found) => isOurs(found, { name }) && controllerOf(found.metadata) === name) }))
      .filter(({ policies }) => policies.length > 0);
    this.#sink.generation(name, undefined);
    // All parts leave the nodes in one batch, in whatever order the objects go.
    this.#sink.retired(name, !keep && (left.length > 0 || policy !== undefined));
    if (policy === undefined) this.#sink.forgotten(name);
    if (!this.#isLeader()) return;
    const failures: { namespace: string; message: string }[] = [];
    let cause: unknown;
    await forEachAtMost(CONCURRENT_NAMESPACES, left, async ({ namespace, policies }) => {
      try {
        await this.#execute(namespace, removal(policies), { name, uid: "" });
      } catch (error) {
        cause = error;
        failures.push({ namespace, message: errorText(error) });
      }
    });
    if (failures.length > 0) throw new ReconcileError(name, failures, cause);
    if (policy === undefined && left.length === 0) view.forget(name);
  }

  async #execute(namespace: string, steps: readonly Step[], owner: Owner): Promise<void> {
    const view = this.#cluster.networkPolicies;
    for (const step of steps) {
      // Another replica may have taken over between two writes.
      if (!this.#isLeader()) return;
      switch (step.action) {
        case "create":
          view.wrote(await this.#writer.create(namespace, step.part, owner));
          break;
        case "update":
          view.wrote(await this.#writer.update(namespace, step.part, owner, step.uid));
          break;
        case "delete":
          await this.#writer.remove(namespace, step.name, step.uid);
          view.removed(namespace, step.name, step.uid);
          break;
      }
    }
  }

  #matching(spec: SegmentPolicySpec): ReadonlySet<string> {
    const matched = [...this.#cluster.namespaces.values()]
      .filter(({ name, labels, terminating }) => !terminating && !this.#excluded.has(name) && selects(spec.namespaceSelector, labels));
    return new Set(matched.map(({ name }) => name));
  }

  #isLive(namespace: string): boolean {
    return this.#cluster.namespaces.get(namespace)?.terminating === false;
  }

  #reportDrift(policy: SegmentPolicy, parts: readonly Part[], plans: readonly NamespacePlan[]): void {
    const settled = this.#settled.get(policy.metadata.name);
    if (settled?.wish !== canonicalJson(parts)) return;
    for (const { namespace, steps } of plans) {
      if (steps.length === 0 || !settled.namespaces.has(namespace)) continue;
      const names = steps.map((step) => step.action === "delete" ? step.name : step.part.name);
      this.#sink.driftCorrected(policy, namespace, names);
    }
  }
}

/** `<namespace>/<name>` of each. */
function conflictsOf(plans: readonly NamespacePlan[]): readonly string[] {
  return plans.flatMap(({ namespace, conflicts }) => conflicts.map((conflict) => `${namespace}/${conflict}`));
}

function refused(policy: SegmentPolicy): Outcome {
  return {
    generation: policy.metadata.generation, namespaces: { matched: 0, applied: 0 }, networkPolicies: 0, placed: false,
    conflicts: [], failures: [], unknownFacts: [],
  };
}

async function forEachAtMost<T>(limit: number, items: readonly T[], work: (item: T) => Promise<void>): Promise<void> {
  const queue = items.values();
  await Promise.all(Array.from({ length: Math.min(limit, items.length) }, async () => {
    for (const item of queue) await work(item);
  }));
}
