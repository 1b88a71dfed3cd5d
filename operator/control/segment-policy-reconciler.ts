import { canonicalJson } from "../api/canonical-json.ts";
import { compare } from "../api/label-selector.ts";
import type { NetworkPolicy } from "../api/network-policy.ts";
import type { SegmentPolicy, SegmentPolicySpec } from "../api/segment-policy.ts";
import type { Namespace } from "../api/workload.ts";
import { compile } from "../compile/compile.ts";
import type { Facts } from "../compile/facts.ts";
import { disagreements } from "../compile/disagreements.ts";
import { holdLive } from "../compile/held-rules.ts";
import { partsIn, type FactConcern, type Part } from "../compile/part.ts";
import { controllerOf, isOurs, plan, removal, type Owner, type Plan, type Step } from "../compile/plan.ts";
import { segmentNamespaces } from "../compile/segment-namespaces.ts";
import type { Outcome } from "../status/policy-status.ts";
import { errorText } from "../telemetry/logger.ts";
import { NamespaceRests } from "./namespace-rests.ts";
import type { NetworkPolicyWriter } from "./network-policy-writer.ts";
import type { PolicyView } from "./policy-view.ts";

/** What is known of the cluster, kept current by the reflectors. */
export interface ClusterView {
  readonly segmentPolicies: ReadonlyMap<string, SegmentPolicy>;
  readonly namespaces: ReadonlyMap<string, Namespace>;
  readonly networkPolicies: PolicyView;
  facts(): Facts;
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
    super(`SegmentPolicy ${name}: ${failures.map(({ namespace, message }) => `${namespace}: ${message}`).join("; ")}`, {
      cause,
    });
    this.name = "ReconcileError";
  }
}

/** The writes that one namespace needs, in their order. */
interface NamespaceWork {
  readonly namespace: string;
  readonly steps: readonly Step[];
}

type NamespacePlan = NamespaceWork & Plan;

interface WriteResult {
  readonly failures: Outcome["failures"];
  /** Of one of them. */
  readonly cause: unknown;
}

/**
 * Namespaces that are written to at once, of one SegmentPolicy. Within a namespace writes are serial: their order
 * counts.
 */
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
  readonly #rests: NamespaceRests;
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
    /** Milliseconds that never go back. */
    readonly monotonic: () => number;
  }) {
    this.#cluster = deps.cluster;
    this.#writer = deps.writer;
    this.#sink = deps.sink;
    this.#excluded = deps.excludedNamespaces;
    this.#isLeader = deps.isLeader;
    this.#rests = new NamespaceRests(deps.monotonic);
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
    const parts = compile(name, spec, this.#cluster.facts());
    const view = this.#cluster.networkPolicies;
    const matched = this.#matching(spec, parts);
    const left = [...view.namespacesOf(name)].filter((namespace) => !matched.has(namespace) && this.#isLive(namespace));
    const planAll = (read: (namespace: string) => readonly NetworkPolicy[]): readonly NamespacePlan[] =>
      [...matched.keys(), ...left].map((namespace) => {
        const live = read(namespace);
        const named = (wanted: string) => live.find(({ metadata }) => metadata.name === wanted);
        const wanted = (matched.get(namespace) ?? []).map((part) => holdLive(part, named(part.name)));
        return { namespace, ...plan(owner, wanted, live) };
      });
    const plans = planAll((namespace) => view.currentIn(namespace));
    // In the same turn as the reading: a stranger's object that goes from now on brings us back.
    view.contest(name, conflictsOf(plans));
    if (!spec.suspend) this.#reportDrift(policy, parts, plans);
    const { failures, cause } = await this.#write(spec.suspend ? [] : plans, owner);
    // Judged by what the watch has shown, not by what we have just written: the stream is computed from the former.
    const observed = planAll((namespace) => view.observedIn(namespace));
    const conflicts = conflictsOf(observed);
    view.contest(name, conflicts);
    const complete = new Set(observed.filter(isComplete).map(({ namespace }) => namespace));
    const placed = complete.size === observed.length;
    if (placed) {
      this.#settled.set(name, { wish: canonicalJson(parts), namespaces: complete });
      this.#sink.generation(name, generation);
    }
    const applied = [...matched.keys()].filter((namespace) => complete.has(namespace)).length;
    this.#sink.outcome(policy, {
      generation,
      namespaces: { matched: matched.size, applied },
      networkPolicies: [...matched.values()].reduce((sum, wanted) => sum + wanted.length, 0),
      suspended: spec.suspend,
      placed,
      conflicts,
      failures,
      ...shortcomings(spec, parts),
    });
    if (failures.length > 0) throw new ReconcileError(name, failures, cause);
  }

  /** Takes away what was generated from a SegmentPolicy that is gone or going, unless it is to be orphaned. */
  async #retire(name: string, policy: SegmentPolicy | undefined): Promise<void> {
    if (policy?.finalizers.includes("orphan") === true) this.#orphaned.add(name);
    const keep = this.#orphaned.has(name);
    const view = this.#cluster.networkPolicies;
    this.#settled.delete(name);
    view.contest(name, []);
    // What was orphaned earlier has no owner any more, and stays.
    const isLeft = (found: NetworkPolicy) => isOurs(found, { name }) && controllerOf(found.metadata) === name;
    const left = (keep ? [] : [...view.namespacesOf(name)])
      .map((namespace) => ({ namespace, policies: view.currentIn(namespace).filter(isLeft) }))
      .filter(({ policies }) => policies.length > 0);
    this.#sink.generation(name, undefined);
    // All parts leave the nodes in one batch, in whatever order the objects go.
    this.#sink.retired(name, !keep && (left.length > 0 || policy !== undefined));
    if (policy === undefined) this.#sink.forgotten(name);
    const removals = left.map(({ namespace, policies }) => ({ namespace, steps: removal(policies) }));
    const { failures, cause } = await this.#write(removals, { name, uid: policy?.metadata.uid ?? "" });
    if (failures.length > 0) throw new ReconcileError(name, failures, cause);
    if (policy === undefined && left.length === 0) view.forget(name);
  }

  /** The leader's part. One namespace that refuses does not hold up the others. */
  async #write(work: readonly NamespaceWork[], owner: Owner): Promise<WriteResult> {
    const failures: { namespace: string; message: string }[] = [];
    let cause: unknown;
    if (!this.#isLeader()) return { failures, cause };
    await forEachAtMost(CONCURRENT_NAMESPACES, work, async ({ namespace, steps }) => {
      if (steps.length === 0) return;
      try {
        this.#rests.assertOver(owner.name, namespace);
        await this.#execute(namespace, steps, owner);
      } catch (error) {
        // A namespace that is going takes its NetworkPolicies with it.
        if (!this.#isLive(namespace)) return;
        this.#rests.refused(owner.name, namespace, error);
        cause = error;
        failures.push({ namespace, message: errorText(error) });
      }
    });
    // By name, not by who was refused first: the status must not change with every try.
    return { failures: failures.toSorted((a, b) => compare(a.namespace, b.namespace)), cause };
  }

  async #execute(namespace: string, steps: readonly Step[], owner: Owner): Promise<void> {
    const view = this.#cluster.networkPolicies;
    const uids = new Map<string, string>();
    for (const step of steps) {
      // Another replica may have taken over between two writes.
      if (!this.#isLeader()) return;
      switch (step.action) {
        case "create": {
          const created = await this.#writer.create(namespace, step.part, owner);
          uids.set(created.metadata.name, created.metadata.uid);
          view.wrote(created);
          break;
        }
        case "update": {
          const uid = step.uid ?? uids.get(step.part.name) ?? "";
          if (step.reown === true) await this.#writer.reown(namespace, step.part.name, uid, owner);
          view.wrote(await this.#writer.update(namespace, step.part, owner, uid));
          break;
        }
        case "delete":
          await this.#writer.remove(namespace, step.name, step.uid);
          view.removed(namespace, step.name, step.uid);
          break;
      }
    }
  }

  /** By namespace of the segment, the parts that live in it. */
  #matching(spec: SegmentPolicySpec, parts: readonly Part[]): ReadonlyMap<string, readonly Part[]> {
    const matched = segmentNamespaces(spec, this.#cluster.namespaces.values(), this.#excluded).filter(
      ({ terminating }) => !terminating,
    );
    return new Map(matched.map(({ name, labels }) => [name, partsIn(parts, labels)]));
  }

  #isLive(namespace: string): boolean {
    return this.#cluster.namespaces.get(namespace)?.terminating === false;
  }

  #reportDrift(policy: SegmentPolicy, parts: readonly Part[], plans: readonly NamespacePlan[]): void {
    if (!this.#isLeader()) return;
    const settled = this.#settled.get(policy.metadata.name);
    if (settled?.wish !== canonicalJson(parts)) return;
    for (const { namespace, steps } of plans) {
      if (steps.length === 0 || !settled.namespaces.has(namespace)) continue;
      const names = steps.map((step) => (step.action === "delete" ? step.name : step.part.name));
      this.#sink.driftCorrected(policy, namespace, names);
    }
  }
}

function isComplete({ steps, conflicts }: NamespacePlan): boolean {
  return steps.length === 0 && conflicts.length === 0;
}

/** `<namespace>/<name>` of each. */
function conflictsOf(plans: readonly NamespacePlan[]): readonly string[] {
  return plans.flatMap(({ namespace, conflicts }) => conflicts.map((conflict) => `${namespace}/${conflict}`));
}

/** What is left to be said of a spec that makes sense. */
function shortcomings(spec: SegmentPolicySpec, parts: readonly Part[]) {
  const facts = (kind: FactConcern["kind"]) => {
    const concerned = parts.flatMap(({ concerns }) => concerns.filter((concern) => concern.kind === kind));
    return [...new Set(concerned.map(({ fact }) => fact))];
  };
  return {
    unknownFacts: facts("unknown"),
    staleFacts: facts("stale"),
    tooManyNodeAddresses: facts("tooMany"),
    disagreements: disagreements(spec),
  };
}

function refused(policy: SegmentPolicy): Outcome {
  return {
    generation: policy.metadata.generation,
    namespaces: { matched: 0, applied: 0 },
    networkPolicies: 0,
    suspended: false,
    placed: false,
    conflicts: [],
    failures: [],
    unknownFacts: [],
    staleFacts: [],
    tooManyNodeAddresses: [],
    disagreements: [],
  };
}

async function forEachAtMost<T>(limit: number, items: readonly T[], work: (item: T) => Promise<void>): Promise<void> {
  const queue = items.values();
  await Promise.all(
    Array.from({ length: Math.min(limit, items.length) }, async () => {
      for (const item of queue) await work(item);
    }),
  );
}
